package flag

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/resource"
)

func TestDefinition(t *testing.T) {
	d := documented(t, checkout)
	f := d.Flags["checkout"]
	if d.Service != "shop" || d.ID != "shop" || !reflect.DeepEqual(d.Reviewers, map[string]resource.Approval{"production": {From: []string{"leads"}, Need: "each"}}) {
		t.Errorf("got %+v", d)
	}
	if f.Owner != "team-shop" || f.Kind != Release || f.Expires != time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC) {
		t.Errorf("got %+v", f)
	}
	if want := (Plan{Plan: "standard", Variant: "on", Control: 50}); *f.Plan("production") != want {
		t.Errorf("got %+v", *f.Plan("production"))
	}
	if f.DefaultIn("staging") != "on" || f.DefaultIn("production") != "off" || !d.HasEnvironment("staging") || d.HasEnvironment("moon") {
		t.Error("an environment is not as it was declared")
	}
}

// flagWith is a document with the flags a and b, of which a has more fields.
func flagWith(fields string) string {
	return `{"environments": ["staging", "production"], "flags": {
 "a": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", ` + fields + `},
 "b": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off"}}}`
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct{ doc, path, says string }{
		{flagWith(`"prerequisites": [{"flag": "c", "variant": "on"}]`), "flags.a.prerequisites[0].flag", `there is no flag "c"`},
		{flagWith(`"prerequisites": [{"flag": "b", "variant": "up"}]`), "flags.a.prerequisites[0]", `"up" is no variant of "b"`},
		{flagWith(`"prerequisites": [{"flag": "b"}]`), "flags.a.prerequisites[0]", "both or neither"},
		{flagWith(`"prerequisites": [{"flag": "b", "variant": "on", "variants": ["on"]}]`), "flags.a.prerequisites[0]", "both or neither"},
		{flagWith(`"prerequisites": [{"flag": "a", "variant": "on"}]`), "flags.a.prerequisites", "circle: a → a"},
		{flagWith(`"prerequisites": "b"`), "flags.a.prerequisites", "got the text"},
		{flagWith(`"kind": "toggle"`), "flags.a.kind", "toggle"},
		{flagWith(`"expires": "soon"`), "flags.a.expires", "soon"},
		{flagWith(`"expires": "2026-02-30"`), "flags.a.expires", "2026-02-30"},
		{flagWith(`"owner": ""`), "flags.a.owner", "empty"},
		{flagWith(`"owner": 7`), "flags.a.owner", "a number"},
		{flagWith(`"archived": "yes"`), "flags.a.archived", "yes"},
		{flagWith(`"prerequisite": []`), "flags.a.prerequisite", "unknown field"},
		{flagWith(`"schedule": [{"variant": "on"}]`), "flags.a.schedule[0]", "without an end"},
		{flagWith(`"schedule": [{"from": "2026-01-02T00:00:00Z", "until": "2026-01-02T00:00:00Z", "variant": "on"}]`), "flags.a.schedule[0].until", "before it begins"},
		{flagWith(`"schedule": [{"from": "tomorrow", "variant": "on"}]`), "flags.a.schedule[0].from", "tomorrow"},
		{flagWith(`"schedule": [{"from": "2026-01-02T00:00:00.5Z", "variant": "on"}]`), "flags.a.schedule[0].from", "00.5Z"},
		{flagWith(`"schedule": [{"from": "2026-01-02T00:00:00Z", "variant": "up"}]`), "flags.a.schedule[0].variant", "no variant"},
		{flagWith(`"preview": {"variant": "on"}`), "flags.a.preview", "no title"},
		{flagWith(`"preview": {"title": "New"}`), "flags.a.preview", "no variant"},
		{flagWith(`"exposure": {"variant": "on"}`), "flags.a.exposure", "no plan"},
		{flagWith(`"exposure": {"plan": "standard", "variant": "up"}`), "flags.a.exposure.variant", "no variant"},
		{flagWith(`"exposure": {"plan": "standard", "variant": "on", "control": 95}`), "flags.a.exposure.control", "95"},
		{flagWith(`"environments": {"moon": {}}`), "flags.a.environments.moon", "no environment"},
		{flagWith(`"environments": {"staging": {"variants": {}}}`), "flags.a.environments.staging.variants", "unknown field"},
		{flagWith(`"environments": {"staging": {"state": "on"}}`), "flags.a.environments.staging.state", "on"},
		{flagWith(`"environments": {"staging": {"defaultVariant": "up"}}`), "flags.a.environments.staging.defaultVariant", "no variant"},
		{flagWith(`"environments": {"staging": {"targeting": {"if": [true, "up"]}}}`), "flags.a.environments.staging.targeting.if[1]", "no variant"},
		{flagWith(`"environments": {"staging": {"exposure": {"plan": "standard"}}}`), "flags.a.environments.staging.exposure", "no variant"},
		{`{"bucketing": "v1", "flags": {}}`, "bucketing", "v1"},
		{flagWith(`"metadata": {"ringfence.bucketing": "v3"}, "targeting": {"fractional": [["on"]]}`), `flags.a.metadata["ringfence.bucketing"]`, "bucketing of its set"},
		{`{"environments": ["a", "a"], "flags": {}}`, "environments[1]", "already"},
		{`{"environments": [], "flags": {}}`, "environments", "empty list"},
		{`{"reviewers": {"p": {"need": "most"}}, "flags": {}}`, "reviewers.p.need", "most"},
		{`{"environments": ["p"], "reviewers": {"q": {}}, "flags": {}}`, "reviewers.q", "no environment"},
		{`{"owner": "x", "flags": {}}`, "owner", "unknown field"},
		{`{"bucketing": "v3", "flags": {"a": {"state": "ENABLED", "variants": {"on": true}, "exposure": {"plan": "p", "variant": "on"}}}}`, "flags.a.exposure", "rings place users by v2"},
		{`{"flags": {"a": {"state": "ENABLED", "variants": {"on": true}, "archived": true}, "b": {"state": "ENABLED", "variants": {"on": true}, "prerequisites": [{"flag": "a", "variant": "on"}]}}}`,
			"flags.b.prerequisites[0].flag", "archived"},
		{`{"flags": {"a": {"state": "ENABLED", "variants": {"on": true}, "targeting": {"var": [{"var": "x"}]}}, "b": {"state": "ENABLED", "variants": {"on": true}, "prerequisites": [{"flag": "a", "variant": "on"}]}}}`,
			"flags.b.prerequisites[0].flag", "a name that it computes"},
		{`{"bucketing": "v3", "flags": {"a": {"state": "ENABLED", "variants": {"on": true}, "targeting": {"fractional": [["on"]]}}, "b": {"state": "ENABLED", "variants": {"on": true}, "prerequisites": [{"flag": "a", "variant": "on"}]}}}`,
			"flags.b.prerequisites[0].flag", "without a key"},
	} {
		_, problems := ParseDocument([]byte(c.doc))
		if len(problems) != 1 || problems[0].Path != c.path || !strings.Contains(problems[0].Msg, c.says) || problems[0].Expected == "" {
			t.Errorf("%s\n got %+v\nwant %s: %s", c.doc, problems, c.path, c.says)
		}
	}
}

// A circle is told once, with the way round.
func TestCircle(t *testing.T) {
	flag := func(needs string) string {
		return `{"state": "ENABLED", "variants": {"on": true}, "prerequisites": [{"flag": "` + needs + `", "variant": "on"}]}`
	}
	d, problems := ParseDocument([]byte(`{"flags": {"a": ` + flag("b") + `, "b": ` + flag("c") + `, "c": ` + flag("a") + `, "d": ` + flag("a") + `}}`))
	if len(problems) != 1 || problems[0].Path != "flags.a.prerequisites" || !strings.Contains(problems[0].Msg, "a → b → c → a") {
		t.Errorf("got %v", problems)
	}
	if raw, _ := Lower(d, "", Live{}); raw == nil { // nobody should, but it ends
		t.Error("not lowered")
	}
}

// What flagd's schemas say of plain files holds for documents too.
func TestPlainFilesAreDocuments(t *testing.T) {
	files, err := filepath.Glob("testdata/flagd-schemas/fl*/*/*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, plain := Parse(raw)
		d, problems := ParseDocument(raw)
		if (len(plain) == 0) != (len(problems) == 0) {
			t.Errorf("%s: as a document %v, plain %v", path, problems, plain)
		}
		if len(problems) > 0 {
			continue
		}
		again, wrong := Lower(d, "", Live{})
		set, more := Parse(again)
		if len(wrong)+len(more) > 0 || set.Len() != len(d.Flags) {
			t.Errorf("%s: lowered with %v %v", path, wrong, more)
		}
	}
}

// An exposure that makes no sense is left out and told: the flag answers as if it were off.
func TestLiveRefusals(t *testing.T) {
	d := documented(t, flagWith(`"owner": "x"`))
	rings := `[{"name": "a", "percent": 50}, {"name": "all"}]`
	for _, c := range []struct{ live, says string }{
		{`{"salt": "s", "rings": ` + rings + `, "variants": ["on"]}`, "1 variants for 2 rings"},
		{`{"salt": "s", "rings": ` + rings + `, "variants": ["on", "up"]}`, "no variant"},
		{`{"salt": "s", "rings": [{"name": "a", "percent": 50}], "variants": ["on"]}`, "must take everyone"},
		{`{"salt": "s", "rings": ` + rings + `, "variants": ["on", "on"], "trial": {"ring": 2, "variant": "on", "salt": "t"}}`, "none of 2"},
		{`{"salt": "s", "rings": ` + rings + `, "variants": ["on", "on"], "trial": {"ring": 1, "variant": "up", "salt": "t"}}`, "no variant"},
		{`{"salt": "s", "rings": ` + rings + `, "variants": ["on", "on"], "trial": {"ring": 1, "variant": "on", "salt": "t", "control": 91}}`, "control is 91"},
		{`{"salt": "s", "rings": ` + rings + `, "variants": ["on", "on"], "trial": {"ring": 1, "variant": "on", "salt": "s"}}`, "salt"},
	} {
		e := decoded[Exposure](t, c.live)
		raw, problems := Lower(d, "", Live{Exposures: map[string]Exposure{"a": e}})
		if len(problems) != 1 || !strings.Contains(problems[0].Msg, c.says) {
			t.Errorf("%s: %v", c.live, problems)
		}
		if set := parsed(t, string(raw)); set.Flag("a").Targeted() {
			t.Errorf("%s is served", c.live)
		}
	}
	for _, c := range []struct{ live, says string }{
		{`{"salt": "x", "share": 100, "variants": [{"variant": "up", "weight": 1}]}`, "no variant"},
		{`{"salt": "x", "share": 100, "variants": [{"variant": "on", "weight": 0}]}`, "sum up to 0"},
		{`{"salt": "x", "share": 100, "variants": [{"variant": "on", "weight": -1}]}`, "-1"},
		{`{"salt": "x", "share": 101, "variants": [{"variant": "on", "weight": 1}]}`, "101"},
		{`{"salt": "x", "share": 100, "variants": [{"variant": "on", "weight": 1}], "group": {"salt": "g", "from": 50, "to": 40}}`, "has nobody"},
	} {
		_, problems := Lower(d, "", Live{Experiments: map[string]Assignment{"a": decoded[Assignment](t, c.live)}})
		if len(problems) != 1 || !strings.Contains(problems[0].Msg, c.says) {
			t.Errorf("%s: %v", c.live, problems)
		}
	}
	if raw, problems := Lower(d, "moon", Live{}); raw != nil || len(problems) != 1 {
		t.Errorf("an unknown environment gives %s %v", raw, problems)
	}
}
