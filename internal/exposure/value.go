package exposure

import (
	"encoding/json"
	"math"
	"strconv"
)

// Kind is the type of a Value.
type Kind uint8

// The kinds are those of JSON.
const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Object
)

// Value is the result of a rule or of a part of it. The zero Value is null.
type Value struct {
	kind Kind
	num  float64 // the number; 1 for true; the weight of a list or of an object made in a loop, see newList
	str  string
	ref  any // a list's []Value, []any or []string; an object's map[string]any
}

// Kind returns the type of v.
func (v Value) Kind() Kind { return v.kind }

// Text returns v's text when it is a string.
func (v Value) Text() (string, bool) { return v.str, v.kind == String }

// Float returns v's number when it is one.
func (v Value) Float() (float64, bool) { return v.num, v.kind == Number }

// Truthy is JSONLogic's truth: false, null, 0, "" and the empty list are false, all else is true.
func (v Value) Truthy() bool {
	switch v.kind {
	case Bool, Number:
		return v.num != 0
	case String:
		return v.str != ""
	case List:
		return v.length() > 0
	}
	return v.kind == Object
}

// Any returns v in the types that encoding/json decodes into.
func (v Value) Any() any {
	switch v.kind {
	case Bool:
		return v.num != 0
	case Number:
		return v.num
	case String:
		return v.str
	case List:
		out := make([]any, v.length())
		for i := range out {
			out[i] = v.at(i).Any()
		}
		return out
	case Object:
		m := v.ref.(map[string]any)
		out := make(map[string]any, len(m))
		for k, e := range m {
			out[k] = valueOf(e).Any()
		}
		return out
	}
	return nil
}

func boolean(b bool) Value {
	if b {
		return Value{kind: Bool, num: 1}
	}
	return Value{kind: Bool}
}

// number returns null for what JSON has no number for.
func number(f float64) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Value{}
	}
	return Value{kind: Number, num: f}
}

func text(s string) Value { return Value{kind: String, str: s} }

func object(m map[string]any) Value { return Value{kind: Object, ref: m} }

// newList makes a list. Its weight counts what is in it at any depth, once for each way to get there, so that a
// loop that keeps putting a list into itself ends in null and not in a list too large to print or compare.
func newList(items []Value) Value {
	weight := 1.0
	for i := range items {
		weight += items[i].weight()
	}
	if weight > maxListWeight {
		return Value{}
	}
	return Value{kind: List, num: weight, ref: items}
}

func (v Value) weight() float64 {
	if v.kind == List || v.kind == Object {
		return max(1, v.num)
	}
	return 1
}

// valueOf takes over a value of a context or of decoded JSON without copying it.
func valueOf(x any) Value {
	switch v := x.(type) {
	case string:
		return text(v)
	case bool:
		return boolean(v)
	case float64:
		return number(v)
	case []any:
		return Value{kind: List, num: float64(len(v) + 1), ref: x} // x and not v, which would be put in a box anew
	case map[string]any:
		return object(v)
	case []string:
		return Value{kind: List, num: float64(len(v) + 1), ref: x}
	case Value:
		return v
	}
	return valueOfNumber(x)
}

func valueOfNumber(x any) Value {
	switch x := x.(type) {
	case int:
		return number(float64(x))
	case int64:
		return number(float64(x))
	case int32:
		return number(float64(x))
	case uint64:
		return number(float64(x))
	case uint32:
		return number(float64(x))
	case float32:
		return number(float64(x))
	case json.Number:
		if f, err := x.Float64(); err == nil {
			return number(f)
		}
	}
	return Value{}
}

// length is the number of a list's items, 0 for all else.
func (v Value) length() int {
	switch items := v.ref.(type) {
	case []Value:
		return len(items)
	case []any:
		return len(items)
	case []string:
		return len(items)
	}
	return 0
}

// at returns item i of a list.
func (v Value) at(i int) Value {
	switch items := v.ref.(type) {
	case []Value:
		return items[i]
	case []any:
		return valueOf(items[i])
	case []string:
		return text(items[i])
	}
	return Value{}
}

// field returns what a path segment leads to from v: an object's member or a list's item, else null.
func (v Value) field(name string) Value {
	switch v.kind {
	case Object:
		return valueOf(v.ref.(map[string]any)[name])
	case List:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < v.length() {
			return v.at(i)
		}
	}
	return Value{}
}
