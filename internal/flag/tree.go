package flag

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/resource"
)

// Limits of a file.
const (
	MaxBytes    = 8 << 20
	maxFlags    = 10_000
	maxVariants = 1000
	maxKey      = 1024
	maxRule     = 1 << 20  // bytes of one flag's rule
	maxExpanded = 16 << 20 // bytes of all rules with their evaluators put in
	maxDepth    = 250
	maxProblems = 100
)

// checker collects what is wrong with a file.
type checker struct {
	problems   []resource.Problem
	evaluators map[string]json.RawMessage
	expanded   int
	refs       refs
	doc        *Document // what is read, nil for a plain file
	bucketing  exposure.Bucketing
}

// refs says to what a $ref may refer: to anything while a rule stands alone, to nothing in an evaluator.
type refs uint8

const (
	refsOpen refs = iota
	refsNone
	refsKnown
)

func (c *checker) bad(path, expected, format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, resource.Problem{Path: path, Expected: expected, Msg: fmt.Sprintf(format, args...)})
	}
}

// read reads JSON into maps, lists, strings, bools, float64s and nil, and tells of keys that stand twice.
func (c *checker) read(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := c.readValue(d, "", 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("more follows after the value")
	}
	return v, nil
}

func (c *checker) readValue(d *json.Decoder, path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '[' {
			return c.readList(d, path, depth)
		}
		return c.readObject(d, path, depth)
	case json.Number:
		f, err := t.Float64()
		if err != nil || math.IsInf(f, 0) {
			c.bad(path, "a number that fits 64 bits", "got %.40s", t)
			return nil, nil
		}
		return f, nil
	}
	return t, nil
}

func (c *checker) readList(d *json.Decoder, path string, depth int) (any, error) {
	list := []any{}
	for d.More() {
		v, err := c.readValue(d, resource.Item(path, len(list)), depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := d.Token()
	return list, err
}

func (c *checker) readObject(d *json.Decoder, path string, depth int) (any, error) {
	obj := map[string]any{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		key := t.(string) // the decoder gives nothing else here
		at := resource.Field(path, key)
		if _, twice := obj[key]; twice {
			c.bad(at, "each key once", "stands twice")
		}
		if obj[key], err = c.readValue(d, at, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return obj, err
}

// kindOf names the type of a decoded value for people.
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case float64:
		return "a number"
	case string:
		return fmt.Sprintf("the text %.40q", v)
	case []any:
		return "a list"
	}
	return "an object"
}

// numberName is a number as the name of a variant, as encoding/json writes it.
func numberName(f float64) string {
	b, err := json.Marshal(f)
	if err != nil { // not a finite number, which no rule gives
		return ""
	}
	return string(b)
}
