package exposure

import (
	"cmp"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/twmb/murmur3"
)

// reference evaluates decoded rules step by step on decoded JSON, as plainly as can be, to compare with.
type reference struct{ data any }

func refContext(c *Context) any {
	data := map[string]any{}
	for k, v := range c.Attributes {
		data[k] = v
	}
	delete(data, "targetingKey")
	if c.TargetingKey != "" {
		data["targetingKey"] = c.TargetingKey
	}
	data["$flagd"] = map[string]any{"flagKey": c.FlagKey, "timestamp": float64(c.Timestamp)}
	return data
}

func (r reference) eval(rule any) any {
	switch rule := rule.(type) {
	case []any:
		return r.all(rule)
	case map[string]any:
		if len(rule) != 1 {
			return rule
		}
		for op, operand := range rule {
			args, ok := operand.([]any)
			if !ok {
				args = []any{operand}
				if strings.Contains(" + - * / % max min cat ", " "+op+" ") {
					if v, isList := r.eval(operand).([]any); isList {
						return refPlain(op, v)
					}
				}
			}
			return r.apply(op, args)
		}
	}
	return rule
}

func (r reference) all(rules []any) []any {
	out := make([]any, len(rules))
	for i := range rules {
		out[i] = r.eval(rules[i])
	}
	return out
}

func (r reference) apply(op string, args []any) any {
	switch op {
	case "if", "?:":
		for len(args) > 1 {
			if refTrue(r.eval(args[0])) {
				return r.eval(args[1])
			}
			args = args[2:]
		}
		if len(args) == 1 {
			return r.eval(args[0])
		}
		return nil
	case "and", "or":
		var v any = false
		for _, a := range args {
			if v = r.eval(a); refTrue(v) == (op == "or") {
				break
			}
		}
		return v
	case "map", "filter", "all", "some", "none", "reduce":
		return r.loop(op, args)
	case "fractional":
		return r.fractional(args)
	case "var":
		path := r.all(args)
		if len(path) == 0 {
			return r.data
		}
		if v := refLookup(r.data, path[0]); v != nil || len(path) < 2 {
			return v
		}
		return path[1]
	case "missing":
		keys := r.all(args)
		if len(keys) > 0 {
			if l, ok := keys[0].([]any); ok {
				keys = l
			}
		}
		return r.missing(keys)
	case "missing_some":
		v := r.all(args)
		if len(v) < 2 {
			return nil
		}
		keys, _ := v[1].([]any)
		gone := r.missing(keys)
		if need, ok := refNumber(v[0]); ok && float64(len(keys)-len(gone)) >= need {
			return []any{}
		}
		return gone
	}
	return refPlain(op, r.all(args))
}

func (r reference) missing(keys []any) []any {
	gone := []any{}
	for _, k := range keys {
		if v := refLookup(r.data, k); v == nil || v == "" {
			gone = append(gone, k)
		}
	}
	return gone
}

func (r reference) loop(op string, args []any) any {
	if len(args) < 2 {
		return nil
	}
	list, _ := r.eval(args[0]).([]any)
	if op == "reduce" {
		var acc any
		if len(args) > 2 {
			acc = r.eval(args[2])
		}
		for _, item := range list {
			acc = reference{map[string]any{"current": item, "accumulator": acc}}.eval(args[1])
		}
		return acc
	}
	mapped, kept := []any{}, []any{}
	for _, item := range list {
		v := reference{item}.eval(args[1])
		mapped = append(mapped, v)
		if refTrue(v) {
			kept = append(kept, item)
		}
	}
	switch op {
	case "map":
		return mapped
	case "filter":
		return kept
	case "all":
		return len(list) > 0 && len(kept) == len(list)
	case "some":
		return len(kept) > 0
	}
	return len(kept) == 0
}

func (r reference) fractional(args []any) any {
	if len(args) == 0 {
		return nil
	}
	var key any
	if _, isShare := args[0].([]any); !isShare {
		key, args = r.eval(args[0]), args[1:]
	}
	if key == nil {
		data, _ := r.data.(map[string]any)
		user, _ := data["targetingKey"].(string)
		flagd, _ := data["$flagd"].(map[string]any)
		flag, _ := flagd["flagKey"].(string)
		if user == "" {
			return nil
		}
		key = flag + user
	}
	text, isText := key.(string)
	var total uint64
	var ends []uint64
	var variants []any
	for _, share := range r.all(args) {
		pair, _ := share.([]any)
		if len(pair) == 0 || isComposite(pair[0]) {
			return nil
		}
		weight := 1.0
		if len(pair) > 1 && pair[1] != nil {
			var number bool
			if weight, number = pair[1].(float64); !number || weight != math.Trunc(weight) || weight > math.MaxInt32 {
				return nil
			}
		}
		total += uint64(max(0, weight))
		ends, variants = append(ends, total), append(variants, pair[0])
	}
	if !isText || total == 0 || total > math.MaxInt32 {
		return nil
	}
	place := uint64(murmur3.StringSum32(text)) * total >> 32
	for i, end := range ends {
		if place < end {
			return variants[i]
		}
	}
	return nil
}

func isComposite(v any) bool {
	switch v.(type) {
	case []any, map[string]any:
		return true
	}
	return false
}

func refLookup(data, path any) any {
	if path == nil || path == "" {
		return data
	}
	var steps []string
	switch path := path.(type) {
	case string:
		steps = strings.Split(path, ".")
	case float64:
		steps = strings.Split(refText(path), ".")
	default:
		return nil
	}
	for _, s := range steps {
		switch at := data.(type) {
		case map[string]any:
			data = at[s]
		case []any:
			i, err := strconv.Atoi(s)
			if err != nil || i < 0 || i >= len(at) {
				return nil
			}
			data = at[i]
		default:
			return nil
		}
	}
	return data
}

func refTrue(v any) bool {
	if list, ok := v.([]any); ok {
		return len(list) > 0
	}
	return v != nil && v != false && v != "" && v != 0.0
}

func refNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case nil:
		return 0, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case float64:
		return v, true
	case string:
		v = strings.TrimSpace(v)
		if v == "" {
			return 0, true
		}
		if strings.Trim(v, "0123456789+-.eE") != "" {
			return 0, false
		}
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil
	}
	return 0, false
}

func refText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = refText(v[i])
		}
		return strings.Join(parts, ",")
	case map[string]any:
		return "[object Object]"
	}
	if v == 0.0 {
		return "0" // also minus zero, which encoding/json writes with its sign and JavaScript does not
	}
	raw, _ := json.Marshal(v) // encoding/json writes other numbers as JavaScript does
	return string(raw)
}

func refEqual(a, b any) bool {
	if reflect.TypeOf(a) == reflect.TypeOf(b) {
		return reflect.DeepEqual(a, b)
	}
	if a == nil || b == nil {
		return false
	}
	x, ok := refNumber(a)
	y, ok2 := refNumber(b)
	return ok && ok2 && x == y
}

func refOrder(op string, a, b any) any {
	var c int
	x, isText := a.(string)
	y, isText2 := b.(string)
	if isText && isText2 {
		c = strings.Compare(x, y)
	} else {
		x, ok := refNumber(a)
		y, ok2 := refNumber(b)
		if !ok || !ok2 {
			return nil
		}
		c = cmp.Compare(x, y)
	}
	return map[string]bool{"<": c < 0, "<=": c <= 0, ">": c > 0, ">=": c >= 0}[op]
}
