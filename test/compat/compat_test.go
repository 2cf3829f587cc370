package compat

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/audit"
	flags "github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

var update = flag.Bool("update", false, "write testdata anew")

// spoken is what goes from one version to another.
var spoken = map[string]reflect.Type{
	"desired":        reflect.TypeFor[fleet.Desired](),
	"observed":       reflect.TypeFor[fleet.Observed](),
	"upgrade":        reflect.TypeFor[fleet.Upgrade](),
	"answer":         reflect.TypeFor[wire.Desired](),
	"flags":          reflect.TypeFor[flags.Feed](),
	"rollout":        reflect.TypeFor[rollout.State](),
	"rollout-event":  reflect.TypeFor[rollout.Event](),
	"incident":       reflect.TypeFor[incident.State](),
	"incident-event": reflect.TypeFor[incident.Event](),
	"alert":          reflect.TypeFor[alert.Alert](),
	"page":           reflect.TypeFor[alert.Page](),
	"event":          reflect.TypeFor[audit.Event](),
	"release":        reflect.TypeFor[resource.Release](),
	"service":        reflect.TypeFor[resource.Service](),
	"ringplan":       reflect.TypeFor[resource.RingPlan](),
}

func TestTheVersionBeforeIsUnderstood(t *testing.T) {
	for name, typ := range spoken {
		path := filepath.Join("testdata", name+".json")
		if *update {
			raw, err := json.MarshalIndent(full(typ, 0).Interface(), "", "  ")
			if err != nil {
				t.Fatal(name, err)
			}
			if err := os.WriteFile(path, append(raw, '\n'), 0o644); err != nil { //nolint:gosec // it is committed
				t.Fatal(err)
			}
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		into := reflect.New(typ)
		if err := json.Unmarshal(before, into.Interface()); err != nil {
			t.Errorf("%s of the version before cannot be read: %v", name, err)
			continue
		}
		again, err := json.Marshal(into.Interface())
		if err != nil {
			t.Fatal(name, err)
		}
		var was, is any
		if err := json.Unmarshal(before, &was); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(again, &is); err != nil {
			t.Fatal(err)
		}
		for _, lost := range missing(name, was, is) {
			t.Errorf("the version before says %s, which this one does not keep", lost)
		}
		newer, err := json.Marshal(stranger(was))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(newer, reflect.New(typ).Interface()); err != nil {
			t.Errorf("%s of a newer version, with fields that this one does not know, cannot be read: %v", name, err)
		}
	}
}

// missing are the paths of what is in one value and not in another.
func missing(path string, was, is any) []string {
	var lost []string
	switch w := was.(type) {
	case map[string]any:
		m, _ := is.(map[string]any)
		for k, v := range w {
			if _, there := m[k]; !there {
				lost = append(lost, path+"."+k)
				continue
			}
			lost = append(lost, missing(path+"."+k, v, m[k])...)
		}
	case []any:
		l, _ := is.([]any)
		for i, v := range w {
			if i >= len(l) {
				lost = append(lost, fmt.Sprintf("%s[%d]", path, i))
				continue
			}
			lost = append(lost, missing(fmt.Sprintf("%s[%d]", path, i), v, l[i])...)
		}
	default:
		if !reflect.DeepEqual(was, is) {
			lost = append(lost, fmt.Sprintf("%s: %v (here %v)", path, was, is))
		}
	}
	return lost
}

// stranger puts a field that nobody knows into every object.
func stranger(v any) any {
	switch w := v.(type) {
	case map[string]any:
		all := map[string]any{}
		if _, free := w[word]; !free { // the keys of a map are free
			all["ofTheNextVersion"] = []any{map[string]any{"a": 1.0}}
		}
		for k, v := range w {
			all[k] = stranger(v)
		}
		return all
	case []any:
		all := make([]any, len(w))
		for i, v := range w {
			all[i] = stranger(v)
		}
		return all
	}
	return v
}

// word is what every text is, and every key of a map.
const word = "a word"

// full is a value of a type with something in every field.
func full(t reflect.Type, depth int) reflect.Value {
	v := reflect.New(t).Elem()
	switch {
	case t == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Date(2026, 11, 2, 15, 4, 5, 600_000_000, time.UTC)))
		return v
	case t == reflect.TypeFor[json.RawMessage]():
		v.SetBytes([]byte(`{"some":"thing"}`))
		return v
	case t == reflect.TypeFor[fleet.Dur]():
		v.SetInt(int64(90 * time.Second))
		return v
	}
	switch t.Kind() {
	case reflect.Pointer:
		if depth < 8 {
			v.Set(reflect.New(t.Elem()))
			v.Elem().Set(full(t.Elem(), depth+1))
		}
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if f.IsExported() && !strings.HasPrefix(f.Tag.Get("json"), "-") && depth < 8 {
				v.Field(i).Set(full(f.Type, depth+1))
			}
		}
	case reflect.Slice:
		if depth < 8 {
			v.Set(reflect.Append(v, full(t.Elem(), depth+1)))
		}
	case reflect.Map:
		if depth < 8 {
			v.Set(reflect.MakeMap(t))
			v.SetMapIndex(full(t.Key(), depth+1), full(t.Elem(), depth+1))
		}
	case reflect.String:
		v.SetString(word)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(0.25)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(7)
	default:
	}
	return v
}
