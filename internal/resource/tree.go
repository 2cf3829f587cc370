package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxDepth is how deep values may nest; nothing sensible comes near it.
const maxDepth = 64

// MaxBytes is the largest resource.
const MaxBytes = 1 << 20

// parse reads one JSON value into maps, slices, strings, json.Numbers, bools and nil. Unlike json.Unmarshal it refuses
// a key that stands twice, as one of the two would be lost in silence.
func parse(raw []byte) (any, error) {
	if len(raw) > MaxBytes {
		return nil, fmt.Errorf("%d bytes, expected at most %d", len(raw), MaxBytes)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := parseValue(d, "", 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more follows after the value")
	}
	return v, nil
}

func parseValue(d *json.Decoder, path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%s: nested deeper than %d levels", path, maxDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	switch t {
	case json.Delim('{'):
		return parseObject(d, path, depth)
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := parseValue(d, item(path, len(list)), depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return t, nil
}

func parseObject(d *json.Decoder, path string, depth int) (any, error) {
	obj := map[string]any{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		key, at := t.(string), field(path, t.(string))
		if _, twice := obj[key]; twice {
			return nil, fmt.Errorf("%s: stands twice", at)
		}
		if obj[key], err = parseValue(d, at, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return obj, err
}
