package resource

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// Type is what a JSON value must be.
type Type string

// The types of values. A duration is a string such as 1m30s, a time one such as 2026-01-31T12:00:00Z.
const (
	Object   Type = "object"
	Map      Type = "map"
	List     Type = "list"
	Text     Type = "text"
	Number   Type = "number"
	Integer  Type = "integer"
	Bool     Type = "bool"
	Duration Type = "duration"
	Time     Type = "time"
	Any      Type = "any"
)

// Shape is the form of a value, read once from the Go types and their tags. The strict reader, the JSON Schema and the
// test of the reference all walk it, so that they cannot disagree.
type Shape struct {
	Type   Type
	Name   string   // of the Go type, for objects
	Fields []Member // of an object, in order
	Elem   *Shape   // of a list or map
}

// Member is one field of an object with its limits.
type Member struct {
	Name     string
	Doc      string
	Required bool
	Unset    bool // that it was left out can be told from 0
	Enum     []string
	Min, Max *float64 // of a number
	MinLen   int      // fewest elements
	MaxLen   int      // most characters, elements or members; 0 is the limit for all
	Shape    *Shape
}

// The shapes of a whole resource and, by kind, of its spec.
var (
	shapes   = map[reflect.Type]*Shape{}
	envelope = shapeOf(reflect.TypeFor[Resource]())
	openSLO  = shapeOf(reflect.TypeFor[OpenSLODocument]())
	specs    = map[string]*Shape{
		KindService:      shapeOf(reflect.TypeFor[Service]()),
		KindSegment:      shapeOf(reflect.TypeFor[Segment]()),
		KindRingPlan:     shapeOf(reflect.TypeFor[RingPlan]()),
		KindRelease:      shapeOf(reflect.TypeFor[Release]()),
		KindConfig:       shapeOf(reflect.TypeFor[Config]()),
		KindFreeze:       shapeOf(reflect.TypeFor[Freeze]()),
		KindGroup:        shapeOf(reflect.TypeFor[Group]()),
		KindScrape:       shapeOf(reflect.TypeFor[Scrape]()),
		KindDatabase:     shapeOf(reflect.TypeFor[Database]()),
		KindIdentity:     shapeOf(reflect.TypeFor[IdentityProvider]()),
		KindNotifier:     shapeOf(reflect.TypeFor[Notifier]()),
		KindFlagSet:      shapeOf(reflect.TypeFor[FlagSet]()),
		KindRotation:     shapeOf(reflect.TypeFor[Rotation]()),
		KindExperiment:   shapeOf(reflect.TypeFor[Experiment]()),
		KindProbe:        shapeOf(reflect.TypeFor[Probe]()),
		KindAlertRules:   shapeOf(reflect.TypeFor[AlertRules]()),
		KindAlertRouting: shapeOf(reflect.TypeFor[AlertRouting]()),

		KindDataSource: openSLO, KindAlertTarget: openSLO, KindAlertCondition: openSLO, KindAlertPolicy: openSLO, KindSLI: openSLO, KindSLOService: openSLO, KindSLO: openSLO,
		KindBudgetPolicy: shapeOf(reflect.TypeFor[BudgetPolicy]()),
		KindAccessPolicy: shapeOf(reflect.TypeFor[AccessPolicy]()),
		KindAccessRules:  shapeOf(reflect.TypeFor[AccessRules]()),
		KindAdmission:    shapeOf(reflect.TypeFor[Admission]()),
	}
)

// Envelope is the shape of a resource around its spec.
func Envelope() *Shape { return envelope }

// SpecShape is the shape of a kind's spec, nil for an unknown kind.
func SpecShape(kind string) *Shape { return specs[kind] }

func shapeOf(t reflect.Type) *Shape {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if s, ok := shapes[t]; ok {
		return s
	}
	s := &Shape{}
	shapes[t] = s // before its fields: an Audience holds Audiences
	switch t {
	case reflect.TypeFor[fleet.Dur]():
		s.Type = Duration
		return s
	case reflect.TypeFor[time.Time]():
		s.Type = Time
		return s
	case reflect.TypeFor[json.RawMessage](), reflect.TypeFor[FlagSet](), reflect.TypeFor[OpenSLODocument]():
		s.Type = Any
		return s
	}
	switch t.Kind() {
	case reflect.Struct:
		s.Type, s.Name = Object, t.Name()
		for i := range t.NumField() {
			if f := t.Field(i); f.Anonymous { // its fields are the object's own
				s.Fields = append(s.Fields, shapeOf(f.Type).Fields...)
				continue
			}
			s.Fields = append(s.Fields, memberOf(t.Field(i)))
		}
	case reflect.Map:
		s.Type, s.Elem = Map, shapeOf(t.Elem())
	case reflect.Slice:
		s.Type, s.Elem = List, shapeOf(t.Elem())
	case reflect.String:
		s.Type = Text
	case reflect.Bool:
		s.Type = Bool
	case reflect.Int, reflect.Int64:
		s.Type = Integer
	case reflect.Float64:
		s.Type = Number
	default:
		panic(fmt.Sprintf("resource: no shape for %s", t))
	}
	return s
}

func memberOf(f reflect.StructField) Member {
	name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
	m := Member{Name: name, Doc: f.Tag.Get("doc"), Required: !strings.Contains(opts, "omit"),
		Unset: f.Type.Kind() == reflect.Pointer, Shape: shapeOf(f.Type)}
	if e := f.Tag.Get("enum"); e != "" {
		m.Enum = strings.Split(e, ",")
	}
	m.Min, m.Max = limit(f, "minimum"), limit(f, "maximum")
	for _, l := range []struct {
		tag string
		to  *int
	}{{"minItems", &m.MinLen}, {"maxItems", &m.MaxLen}, {"maxLength", &m.MaxLen}, {"maxProperties", &m.MaxLen}} {
		if v := limit(f, l.tag); v != nil {
			*l.to = int(*v)
		}
	}
	return m
}

func limit(f reflect.StructField, tag string) *float64 {
	s, ok := f.Tag.Lookup(tag)
	if !ok {
		return nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(fmt.Sprintf("resource: tag %s of %s: %v", tag, f.Name, err))
	}
	return &v
}

// Member finds a field of an object by name.
func (s *Shape) Member(name string) (Member, bool) {
	for _, m := range s.Fields {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}
