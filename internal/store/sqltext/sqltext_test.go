package sqltext

import (
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/errs"
)

// TestCeiling: the range from a prefix to its ceiling holds exactly what begins with it.
func TestCeiling(t *testing.T) {
	runes := rapid.StringOf(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune{0, 'a', 0xD7FF, 0xE000, utf8.MaxRune})))
	rapid.Check(t, func(t *rapid.T) {
		prefix := runes.Filter(func(s string) bool { return s != "" }).Draw(t, "prefix")
		text := runes.Draw(t, "text")
		if rapid.Bool().Draw(t, "inside") {
			text = prefix + text
		}
		end := ceiling(prefix)
		if !utf8.ValidString(end) {
			t.Fatalf("ceiling %q is not UTF-8", end)
		}
		inRange := text >= prefix && (end == "" || text < end)
		if inRange != strings.HasPrefix(text, prefix) {
			t.Fatalf("%q in the range of %q: %v", text, prefix, inRange)
		}
	})
}

func TestSteps(t *testing.T) {
	files := func(names ...string) fstest.MapFS {
		m := fstest.MapFS{"README.md": {}}
		for _, n := range names {
			m[n] = &fstest.MapFile{Data: []byte("-- oldest: 1\nSQL of " + n)}
		}
		return m
	}
	steps, err := Steps(files("0002_two.sql", "0001_one.sql"))
	if err != nil || len(steps) != 2 || steps[1] != (Step{Version: 2, Oldest: 1, Name: "two", SQL: "-- oldest: 1\nSQL of 0002_two.sql"}) {
		t.Fatalf("%v, %v", steps, err)
	}
	for _, bad := range [][]string{{"0002_two.sql"}, {"0001_one.sql", "0003_three.sql"}, {"0001_one.sql", "0001_other.sql"}, {"one.sql"}, {"0001.sql"}} {
		if steps, err := Steps(files(bad...)); err == nil {
			t.Errorf("%v gave %v", bad, steps)
		}
	}
	for have, want := range map[Schema]int{{}: 2, {1, 1}: 1, {2, 2}: 0, {2, 1}: 0, {3, 2}: 0, {9, 1}: 0} {
		if p, err := Pending(steps, have); err != nil || len(p) != want {
			t.Errorf("from version %+v: %v, %v", have, p, err)
		}
	}
	for _, have := range []Schema{{3, 3}, {3, 0}, {-1, 0}, {9, 4}} {
		if _, err := Pending(steps, have); !errs.Is(err, errs.Conflict) {
			t.Errorf("from version %+v: %v", have, err)
		}
	}
}

// A step that takes something away from programs of the version before says so, or is none.
func TestStepsExpandUnlessTheySayOtherwise(t *testing.T) {
	for sql, want := range map[string]int{
		"-- oldest: 1\nALTER TABLE docs ADD COLUMN note text;": 1,
		"-- oldest: 2\nALTER TABLE docs DROP COLUMN note;":     2,
		"-- oldest: 1\nalter table docs drop column note;":     0,
		"-- oldest: 1\nALTER TABLE docs RENAME TO papers;":     0,
		"-- oldest: 3\nSELECT 1;":                              0,
		"-- oldest: 0\nSELECT 1;":                              0,
		"SELECT 1;":                                            0,
	} {
		steps, err := Steps(fstest.MapFS{"0001_one.sql": {Data: []byte("SELECT 1;")}, "0002_two.sql": {Data: []byte(sql)}})
		if want == 0 && err == nil || want > 0 && (err != nil || After(steps) != Schema{2, want}) {
			t.Errorf("%q: %v, %v", sql, steps, err)
		}
	}
}
