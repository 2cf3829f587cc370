package flag

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/fleet"
)

func decoded[T any](t *testing.T, raw string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestStale(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	yesterday, longAgo := Usage{LastAsked: now.Add(-24 * time.Hour)}, Usage{LastAsked: now.Add(-31 * 24 * time.Hour)}
	const ramped = `"exposure": {"plan": "p", "variant": "on"}`
	everyone := Exposure{Rings: []fleet.Ring{{Name: "a", Percent: 1}, {Name: "all"}}, Variants: []string{"on", "on"}}
	part, trial := everyone, everyone
	part.Variants, trial.Trial = []string{"on", ""}, &Trial{Ring: 1}
	both := func(e Exposure) map[string]map[string]Exposure {
		return map[string]map[string]Exposure{"staging": {"a": e}, "production": {"a": e}}
	}
	for _, c := range []struct {
		what, fields string
		usage        Usage
		exposures    map[string]map[string]Exposure
		want         []StaleReason
	}{
		{"in use", ramped, yesterday, nil, nil},
		{"on its way", ramped, yesterday, both(part), nil},
		{"in its last trial", ramped, yesterday, both(trial), nil},
		{"fully out", ramped, yesterday, both(everyone), []StaleReason{FullyOut}},
		{"out in one environment", ramped, yesterday, map[string]map[string]Exposure{"production": {"a": everyone}, "staging": {"a": part}}, nil},
		{"out, to operate by", ramped + `, "kind": "operational"`, yesterday, both(everyone), nil},
		{"its default by now", ramped + `, "environments": {"staging": {"defaultVariant": "on"}, "production": {"defaultVariant": "on"}}`, yesterday, nil, []StaleReason{FullyOut}},
		{"overdue", `"expires": "2026-06-01"`, yesterday, nil, []StaleReason{Expired}},
		{"due tomorrow", `"expires": "2026-06-02"`, yesterday, nil, nil},
		{"not asked for", `"kind": "permission"`, longAgo, nil, []StaleReason{NotAsked}},
		{"never asked for, and overdue", `"expires": "2025-01-01"`, Usage{}, nil, []StaleReason{Expired, NotAsked}},
		{"archived, in use", `"archived": true`, yesterday, nil, []StaleReason{ArchivedAsked}},
		{"archived", `"archived": true`, longAgo, nil, []StaleReason{ArchivedQuiet}},
	} {
		d := documented(t, flagWith(c.fields))
		delete(d.Flags, "b")
		var got []StaleReason
		for _, s := range d.Stale(Watch{Usage: map[string]Usage{"a": c.usage}, Since: now.Add(-90 * 24 * time.Hour), Exposures: c.exposures, Now: now}) {
			if got = append(got, s.Reason); s.Key != "a" || s.Advice == "" {
				t.Errorf("%s: %+v", c.what, s)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.what, got, c.want)
		}
	}
	d := documented(t, flagWith(`"prerequisites": [{"flag": "b", "variant": "on"}]`))
	if got := d.Stale(Watch{Now: now, Since: now.Add(-time.Hour)}); len(got) != 0 {
		t.Errorf("counted for an hour only: %v", got)
	}
	got := d.Stale(Watch{Now: now, Since: now.Add(-90 * 24 * time.Hour), Usage: map[string]Usage{"a": yesterday}})
	if len(got) != 1 || got[0].Key != "b" || !strings.Contains(got[0].Advice, `"a" needs it`) {
		t.Errorf("got %v", got)
	}
}

// drawMatrix draws flags of which some need others.
func drawMatrix(t *rapid.T) *Document {
	flags := map[string]any{}
	for i := range rapid.IntRange(0, 7).Draw(t, "flags") {
		variants := map[string]int{}
		for v := range rapid.IntRange(1, 4).Draw(t, "variants") {
			variants[fmt.Sprint("v", v)] = v
		}
		f := map[string]any{"state": "ENABLED", "variants": variants}
		if rapid.Bool().Draw(t, "has a default") {
			f["defaultVariant"] = "v0"
		}
		if i > 0 && rapid.Bool().Draw(t, "needs") {
			f["prerequisites"] = []Prerequisite{{Flag: fmt.Sprint("f", rapid.IntRange(0, i-1).Draw(t, "other")), Variants: []string{"v0"}}}
		}
		flags[fmt.Sprint("f", i)] = f
	}
	raw, err := json.Marshal(map[string]any{"flags": flags})
	if err != nil {
		t.Fatal(err)
	}
	d, problems := ParseDocument(raw)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return d
}

// possible reports whether a state can be: who is not at the default has its prerequisites.
func possible(d *Document, state map[string]string) bool {
	for key, v := range state {
		for _, p := range d.Flags[key].Prerequisites {
			if v != d.Flags[key].Default && !slices.Contains(p.Variants, state[p.Flag]) {
				return false
			}
		}
	}
	return true
}

// states are all that the flags can have.
func states(d *Document) []map[string]string {
	all := []map[string]string{{}}
	for _, key := range d.Keys() {
		f := d.Flags[key]
		values := f.Variants()
		if f.Default == "" {
			values = append(values, "")
		}
		var next []map[string]string
		for _, s := range all {
			for _, v := range values {
				with := maps.Clone(s)
				if v != "" {
					with[key] = v
				}
				next = append(next, with)
			}
		}
		all = next
	}
	return slices.DeleteFunc(all, func(s map[string]string) bool { return !possible(d, s) })
}

type covered struct{ a, x, b, y string }

func pairsOf(d *Document, states []map[string]string) map[covered]bool {
	pairs := map[covered]bool{}
	for _, s := range states {
		for _, a := range d.Keys() {
			for _, b := range d.Keys() {
				if a < b {
					pairs[covered{a, s[a], b, s[b]}] = true
				}
			}
		}
	}
	return pairs
}

// The matrix has all pairs that can be, only states that can be, none of them twice, and no more than there are.
func TestMatrixCoversPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawMatrix(t)
		m, err := d.Matrix(MatrixOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var rows []map[string]string
		for _, r := range m.Rows {
			if !possible(d, r.Variants) {
				t.Fatalf("%v cannot be", r)
			}
			rows = append(rows, r.Variants)
		}
		for i := range rows {
			for j := range i {
				if maps.Equal(rows[i], rows[j]) {
					t.Fatalf("%v is there twice", rows[i])
				}
			}
		}
		all := states(d)
		got := pairsOf(d, rows)
		for p := range pairsOf(d, all) {
			if !got[p] {
				t.Fatalf("%v is in none of %v", p, rows)
			}
		}
		if len(rows) > len(all) {
			t.Fatalf("%d rows, there are %d states", len(rows), len(all))
		}
	})
}

// Of a million states of twenty switches, a dozen or so will do.
func TestMatrixIsSmall(t *testing.T) {
	flags := map[string]any{}
	for i := range 20 {
		flags[fmt.Sprint("f", i)] = map[string]any{"state": "ENABLED", "variants": map[string]bool{"on": true, "off": false}, "defaultVariant": "off"}
	}
	raw, err := json.Marshal(map[string]any{"flags": flags})
	if err != nil {
		t.Fatal(err)
	}
	m, err := documented(t, string(raw)).Matrix(MatrixOptions{})
	if err != nil || len(m.Rows) > 14 {
		t.Errorf("%d rows, %v", len(m.Rows), err)
	}
}

func TestMatrixToday(t *testing.T) {
	d := documented(t, flagWith(`"exposure": {"plan": "p", "variant": "on"}, "environments": {"staging": {"defaultVariant": "on"}}`))
	d.Flags["b"].Kind = Operational
	for _, c := range []struct {
		options MatrixOptions
		want    string
	}{
		{MatrixOptions{Environment: "production"}, `{"flags":["a"],"rows":[{"name":"today","variants":{"a":"off"}},{"name":"all out","variants":{"a":"on"}}]}`},
		{MatrixOptions{Environment: "production", Exposures: map[string]Exposure{"a": {Variants: []string{"on", "on"}}}, Keys: []string{"a"}},
			`{"flags":["a"],"rows":[{"name":"today","variants":{"a":"on"}},{"name":"all at default","variants":{"a":"off"}}]}`},
		{MatrixOptions{Environment: "staging", Keys: []string{"a", "a"}}, `{"flags":["a"],"rows":[{"name":"today","variants":{"a":"on"}},{"name":"alone","variants":{"a":"off"}}]}`},
	} {
		m, err := d.Matrix(c.options)
		got, _ := json.Marshal(m)
		if err != nil || string(got) != c.want {
			t.Errorf("%+v:\n got %s %v\nwant %s", c.options, got, err, c.want)
		}
	}
	if _, err := d.Matrix(MatrixOptions{Keys: []string{"c"}}); err == nil {
		t.Error("a flag that is not there")
	}
}
