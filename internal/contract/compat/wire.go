package compat

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// wire compares what messages are in bytes. Names of fields and messages are not among them.
type wire struct {
	seen  map[protoreflect.FullName]bool
	found []string
}

func (w *wire) say(format string, args ...any) {
	w.found = append(w.found, fmt.Sprintf(format, args...))
}

// same are kinds that read one another's bytes; what does not fit is cut as protobuf says.
var same = map[protoreflect.Kind]int{
	protoreflect.Int32Kind: 1, protoreflect.Int64Kind: 1, protoreflect.Uint32Kind: 1, protoreflect.Uint64Kind: 1, protoreflect.BoolKind: 1,
	protoreflect.Sint32Kind: 2, protoreflect.Sint64Kind: 2,
	protoreflect.Fixed32Kind: 3, protoreflect.Sfixed32Kind: 3,
	protoreflect.Fixed64Kind: 4, protoreflect.Sfixed64Kind: 4,
	protoreflect.FloatKind: 5, protoreflect.DoubleKind: 6,
	protoreflect.StringKind: 7, protoreflect.BytesKind: 8, protoreflect.EnumKind: 9, protoreflect.MessageKind: 10, protoreflect.GroupKind: 11,
}

func (w *wire) message(was, is protoreflect.MessageDescriptor) {
	if key := was.FullName() + ">" + is.FullName(); w.seen[key] {
		return
	} else {
		w.seen[key] = true
	}
	for i := range was.Fields().Len() {
		f := was.Fields().Get(i)
		g := is.Fields().ByNumber(f.Number())
		if g == nil {
			if !is.ReservedRanges().Has(f.Number()) {
				w.say("%s loses field %s, and its number %d is not reserved", was.FullName(), f.Name(), f.Number())
			} else if f.Cardinality() == protoreflect.Required {
				w.say("%s loses field %s, which readers require", was.FullName(), f.Name())
			}
			continue
		}
		w.field(f, g)
	}
	for i := range is.Fields().Len() {
		if g := is.Fields().Get(i); g.Cardinality() == protoreflect.Required && was.Fields().ByNumber(g.Number()) == nil {
			w.say("%s requires field %s, which callers do not send", is.FullName(), g.Name())
		}
	}
}

func (w *wire) field(was, is protoreflect.FieldDescriptor) {
	of := fmt.Sprintf("field %d (%s) of %s", was.Number(), was.Name(), was.Parent().FullName())
	switch {
	case was.IsMap() != is.IsMap() || was.IsList() != is.IsList():
		w.say("%s is %s, and was %s", of, shapeOf(is), shapeOf(was))
		return
	case same[was.Kind()] != same[is.Kind()] && (was.Kind() != protoreflect.StringKind || is.Kind() != protoreflect.BytesKind):
		w.say("%s is %s, and was %s", of, is.Kind(), was.Kind())
		return
	case (was.Cardinality() == protoreflect.Required) != (is.Cardinality() == protoreflect.Required):
		w.say("%s is %s, and was %s", of, is.Cardinality(), was.Cardinality())
	case oneofOf(was) != oneofOf(is):
		w.say("%s is in %s, and was in %s", of, oneofOf(is), oneofOf(was))
	}
	switch was.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		w.message(was.Message(), is.Message())
	case protoreflect.EnumKind:
		w.enum(was.Enum(), is.Enum())
	}
}

func shapeOf(f protoreflect.FieldDescriptor) string {
	switch {
	case f.IsMap():
		return "a map"
	case f.IsList():
		return "repeated"
	}
	return "single"
}

func oneofOf(f protoreflect.FieldDescriptor) string {
	if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
		return "oneof " + string(o.Name())
	}
	return "no oneof"
}

func (w *wire) enum(was, is protoreflect.EnumDescriptor) {
	if key := was.FullName() + ">" + is.FullName(); w.seen[key] {
		return
	} else {
		w.seen[key] = true
	}
	for i := range was.Values().Len() {
		v := was.Values().Get(i)
		if is.Values().ByNumber(v.Number()) == nil && !is.ReservedRanges().Has(v.Number()) {
			w.say("%s loses value %s, and its number %d is not reserved", was.FullName(), v.Name(), v.Number())
		}
	}
}
