package resource

import (
	"encoding/json"
	"reflect"
)

// Reader makes a reader of values of type T, which are no resources, as strict as Decode: T's tags are those of specs. It is to
// be called where packages are initialised, as shapes are shared.
func Reader[T any]() func(raw []byte) (T, []Problem) {
	shape := shapeOf(reflect.TypeFor[T]())
	return func(raw []byte) (T, []Problem) {
		var p problems
		var value T
		tree, err := parse(raw)
		if err != nil {
			p.add("", "JSON", "%s", clip(err.Error()))
			return value, p.list
		}
		if p.conform(tree, shape, Member{}, ""); len(p.list) == 0 {
			if err := json.Unmarshal(raw, &value); err != nil {
				p.add("", shape.words(Member{}), "%s", clip(err.Error()))
			}
		}
		return value, p.list
	}
}
