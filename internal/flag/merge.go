package flag

import (
	"bytes"
	"encoding/json"
	"maps"
)

// part is what a view takes of one set.
type part struct {
	Served
	flags map[string]*Flag
}

// definitions are a document's flags by their keys, unread.
type definitions struct {
	Schema     string                     `json:"$schema,omitempty"`
	Evaluators map[string]any             `json:"$evaluators,omitempty"`
	Metadata   json.RawMessage            `json:"metadata,omitempty"`
	Flags      map[string]json.RawMessage `json:"flags"`
}

// readDefinitions reads a document that Parse took. A list of flags becomes an object, which all providers read.
func readDefinitions(raw []byte) (d definitions, list bool) {
	var top struct {
		definitions
		Flags json.RawMessage `json:"flags"`
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&top); err != nil {
		// Parse reports it; a mistyped $schema or $evaluators costs only itself
		_ = json.Unmarshal(raw, &struct {
			Flags *json.RawMessage `json:"flags"`
		}{&top.Flags})
	}
	d = top.definitions
	if json.Unmarshal(top.Flags, &d.Flags) == nil {
		return d, false
	}
	d.Flags = map[string]json.RawMessage{}
	var items []map[string]json.RawMessage
	if err := json.Unmarshal(top.Flags, &items); err != nil {
		return d, true
	}
	for _, item := range items {
		var key string
		if json.Unmarshal(item["key"], &key) != nil || d.Flags[key] != nil {
			continue // Parse took the first of a key that stands twice
		}
		delete(item, "key")
		d.Flags[key] = encoded(item)
	}
	return d, true
}

// encoded is a value that was read from JSON, as JSON.
func encoded(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		return []byte("{}")
	}
	return raw
}

// plain is the whole set as every provider reads it.
func (p part) plain() []byte {
	d, list := readDefinitions(p.Raw)
	if !list {
		return p.Raw
	}
	return encoded(d)
}

// mergedRaw is one document with the flags of several. What a document says for all its flags, metadata and evaluators,
// is put into the flags, since the others' flags are not to see it.
func mergedRaw(parts []part) []byte {
	all := definitions{Flags: map[string]json.RawMessage{}}
	for _, p := range parts {
		d, _ := readDefinitions(p.Raw)
		for key, f := range p.flags {
			all.Flags[key] = alone(d, d.Flags[key], f)
		}
	}
	return encoded(all)
}

// alone is a flag's definition that needs nothing of its document.
func alone(d definitions, raw json.RawMessage, f *Flag) json.RawMessage {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
		return raw
	}
	fields = maps.Clone(fields)
	if len(f.Metadata) > 0 {
		fields["metadata"] = encoded(f.Metadata)
	}
	if targeting, ok := fields["targeting"]; ok && len(d.Evaluators) > 0 {
		dec := json.NewDecoder(bytes.NewReader(targeting))
		dec.UseNumber()
		var tree any
		if err := dec.Decode(&tree); err == nil {
			fields["targeting"] = encoded(inline(tree, d.Evaluators))
		}
	}
	return encoded(fields)
}

// inline puts the rules of evaluators where a $ref stands for them.
func inline(tree any, evaluators map[string]any) any {
	switch v := tree.(type) {
	case []any:
		for i := range v {
			v[i] = inline(v[i], evaluators)
		}
	case map[string]any:
		if name, ok := v["$ref"].(string); ok && len(v) == 1 {
			if rule, known := evaluators[name]; known {
				return rule
			}
		}
		for key := range v {
			v[key] = inline(v[key], evaluators)
		}
	}
	return tree
}
