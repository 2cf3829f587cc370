package exposure

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"math"
	"os"
	"testing"
)

// suite is one of the community's, see testdata/jsonlogic.
type suite struct {
	Suite string
	Cases []struct {
		Rule, Data json.RawMessage
		Result     any
		Error      string
	}
}

func suites(t *testing.T) (all []suite) {
	t.Helper()
	f, err := os.Open("testdata/jsonlogic/suites.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(unpacked).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLogicSuites(t *testing.T) {
	passed := 0
	for _, s := range suites(t) {
		for _, c := range s.Cases {
			var data any
			if c.Data != nil {
				if err := json.Unmarshal(c.Data, &data); err != nil {
					t.Fatal(err)
				}
			}
			l, err := CompileLogic(c.Rule)
			if err != nil {
				t.Errorf("%s: %s: %v", s.Suite, c.Rule, err)
				continue
			}
			got, err := l.Apply(data)
			if c.Error != "" && (err == nil || err.Error() != c.Error) || c.Error == "" && (err != nil || !alike(got, c.Result)) {
				t.Errorf("%s: %s of %s: got %v %v, want %v %s", s.Suite, c.Rule, c.Data, got, err, c.Result, c.Error)
				continue
			}
			passed++
		}
	}
	if passed != 1138 {
		t.Errorf("%d of 1138 pass", passed)
	}
}

// alike compares as the suites' own runners do: where null is wanted all that is empty will do, and numbers may be off by
// their last digits.
func alike(got, want any) bool {
	switch want := want.(type) {
	case nil:
		return !valueOf(got).Truthy()
	case float64:
		n, ok := got.(float64)
		return ok && math.Abs(n-want) < 1e-10
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return false
		}
		for i := range want {
			if !alike(list[i], want[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		obj, ok := got.(map[string]any)
		if !ok || len(obj) != len(want) {
			return false
		}
		for k, v := range want {
			if w, ok := obj[k]; !ok || !alike(w, v) {
				return false
			}
		}
		return true
	}
	return got == want
}

// An expression cannot run away, whatever it is.
func TestLogicIsBounded(t *testing.T) {
	items := make([]any, 200)
	for _, rule := range []string{
		`{"map": [{"val": "x"}, {"map": [{"val": [[2], "x"]}, {"map": [{"val": [[4], "x"]}, 1]}]}]}`,
		`{"reduce": [{"val": "x"}, {"merge": [{"val": "accumulator"}, {"val": "accumulator"}, 1]}, []]}`,
	} {
		l, err := CompileLogic([]byte(rule))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := l.Apply(map[string]any{"x": items}); err == nil && got != nil {
			t.Errorf("%s gives %.60v", rule, got)
		}
	}
}

// What is thrown comes out as it was thrown.
func TestLogicThrows(t *testing.T) {
	l, err := CompileLogic([]byte(`{"throw": {"val": []}}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Apply(map[string]any{"type": "late", "days": 3.0})
	var thrown *Thrown
	if !errors.As(err, &thrown) || thrown.Error() != "late" || !alike(thrown.Value, map[string]any{"type": "late", "days": 3.0}) {
		t.Errorf("got %v", err)
	}
}
