package resource

import (
	"encoding/json"
	"reflect"
)

// Change is one field that differs between two states of a resource.
type Change struct {
	Path string          `json:"path" doc:"the field, as in spec.rings[1].bake"`
	Old  json.RawMessage `json:"old,omitempty" doc:"its value before; missing when it was not there"`
	New  json.RawMessage `json:"new,omitempty" doc:"its value now; missing when it is gone"`
}

// Changes lists the fields in which two canonical resources differ, in order of their paths; a nil old one has no fields.
func Changes(old, now *Resource) []Change {
	var list []Change
	changes("", tree(old), tree(now), &list)
	return list
}

func tree(r *Resource) any {
	if r == nil {
		return nil
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return string(r.Spec)
	}
	v, err := parse(raw)
	if err != nil {
		return string(raw)
	}
	return v
}

// changes descends while both sides are objects, or lists of the same length; anything else is one change.
func changes(path string, a, b any, list *[]Change) {
	if am, ok := a.(map[string]any); ok {
		if bm, ok := b.(map[string]any); ok {
			keys := map[string]bool{}
			for k := range am {
				keys[k] = true
			}
			for k := range bm {
				keys[k] = true
			}
			for _, k := range sortedKeys(keys) {
				changes(field(path, k), am[k], bm[k], list)
			}
			return
		}
	}
	al, aok := a.([]any)
	bl, bok := b.([]any)
	if aok && bok && len(al) == len(bl) {
		for i := range al {
			changes(item(path, i), al[i], bl[i], list)
		}
		return
	}
	if !reflect.DeepEqual(a, b) {
		*list = append(*list, Change{Path: path, Old: encode(a), New: encode(b)})
	}
}

func encode(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage(`null`)
	}
	return raw
}
