package layer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/errs"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func started() State {
	return State{Database: "shop", Schema: "public", Live: []string{"public_02", "public_01"},
		Step: &Step{Name: "02", Phase: Started, Version: "public_02", Previous: "public_01"}}
}

func use(version, schema, role, rolling string) Use {
	return Use{Service: "shop", Version: version, Database: "shop", Schema: schema, Understands: []string{"public_01", "public_02"}, Role: role, Rollout: rolling}
}

func TestMayRun(t *testing.T) {
	going := started().Toward(Completing, "ann", "", false, false, noon)
	starting := State{Database: "shop", Schema: "public", Live: []string{"public_01"}, Step: &Step{Name: "02", Phase: Starting, Version: "public_02", Previous: "public_01"}}
	for _, tt := range []struct {
		name string
		st   State
		u    Use
		want string // of the error and its hint
	}{
		{"live", started(), use("v2", "public_01", "", ""), ""},
		{"the new one", started(), use("v2", "public_02", "", ""), ""},
		{"not understood", started(), Use{Service: "shop", Version: "v1", Database: "shop", Schema: "public_02", Understands: []string{"public_01"}}, "release a version that understands public_02"},
		{"about to go", going, use("v2", "public_01", "", ""), "understands what is left: public_02"},
		{"not yet", starting, use("v2", "public_02", "", ""), "not ready yet"},
		{"two behind", started(), Use{Service: "shop", Version: "v0", Database: "shop", Schema: "public_00", Understands: []string{"public_00"}}, "live is public_02 and public_01"},
		{"never looked at", State{Database: "shop"}, use("v1", "public_01", "", ""), "no version is known to be live"},
	} {
		err := tt.st.MayRun(tt.u)
		if text := fmt.Sprint(err, " ", errs.HintOf(err)); tt.want == "" && err != nil || !strings.Contains(text, tt.want) {
			t.Errorf("%s: %s, want %q", tt.name, text, tt.want)
		}
	}
}

func TestMayCompleteAndReturn(t *testing.T) {
	other := use("v1", "public_01", "stable", "")
	other.Database = "else"
	for _, tt := range []struct {
		name             string
		uses             []Use
		vouched          bool
		complete, giveUp string
	}{
		{"nobody", nil, false, "no evidence", ""},
		{"nobody, vouched for", nil, true, "", ""},
		{"of another database", []Use{other}, true, "", ""},
		{"stable on the old one", []Use{use("v2~public_01", "public_01", "stable", "")}, true, "is needed by shop v2~public_01 (stable)", ""},
		{"half way", []Use{use("v2~public_01", "public_01", "before", "shop-3"), use("v2~public_02", "public_02", "new", "shop-3")}, false, "before in rollout shop-3", "new in rollout shop-3"},
		{"standing by", []Use{use("v2~public_01", "public_01", "standby", ""), use("v2~public_02", "public_02", "stable", "")}, false, "standby", "stable"},
		{"first release on its way", []Use{use("v2~public_02", "public_02", "new", "shop-1")}, true, "has not baked", "new in rollout shop-1"},
		{"baked", []Use{use("v2~public_02", "public_02", "stable", "")}, false, "", "stable"},
		{"on the tables themselves", []Use{use("v2~public", "public", "stable", ""), use("v3~public_02", "public_02", "stable", "")}, false, "v2~public (stable)", "v3~public_02"},
	} {
		for _, c := range []struct {
			err  error
			want string
		}{{started().MayComplete("02", tt.uses, tt.vouched), tt.complete}, {started().MayReturn("02", tt.uses), tt.giveUp}} {
			if (c.err == nil) != (c.want == "") || c.want != "" && (!strings.Contains(c.err.Error(), c.want) || errs.HintOf(c.err) == "" || !errs.Is(c.err, errs.Conflict)) {
				t.Errorf("%s: %v, want %q", tt.name, c.err, c.want)
			}
		}
	}
	if err := started().MayComplete("03", nil, true); !errs.Is(err, errs.Missing) {
		t.Errorf("another migration: %v", err)
	}
	if err := started().MayStart("03"); !errs.Is(err, errs.Conflict) {
		t.Errorf("a second one: %v", err)
	}
}

func TestChoose(t *testing.T) {
	both := []string{"public_01", "public_02"}
	for _, tt := range []struct {
		understands []string
		stable      string
		want        string
	}{
		{both, "public_01", "public_01"}, // binaries first
		{both, "public_02", "public_02"},
		{both, "", "public_01"},
		{[]string{"public_02", "public_03"}, "public_01", "public_02"},
		{[]string{"public_00"}, "public_01", "public_00"}, // which is refused
	} {
		if got := started().Choose(tt.understands, tt.stable); got != tt.want {
			t.Errorf("%v of %s: %s, want %s", tt.understands, tt.stable, got, tt.want)
		}
	}
}

func TestLearn(t *testing.T) {
	seen := Seen{Schema: "public", Live: []string{"public_02", "public_01"}, Migration: "02", Phase: Started, Version: "public_02", Previous: "public_01"}
	st := State{Database: "shop"}.Learn(seen, noon)
	if st.Step == nil || st.Step.Phase != Started || st.Step.By != "" || !st.Offers("public_01") {
		t.Fatalf("begun elsewhere: %+v", st)
	}
	if again := st.Learn(seen, noon.Add(time.Hour)); !again.Step.At.Equal(noon) {
		t.Error("looking again changes something")
	}
	st = st.Toward(Completing, "ann", "", false, false, noon)
	if st = st.Learn(seen, noon); st.Step.Phase != Completing || st.Offers("public_01") {
		t.Errorf("what was asked for is forgotten: %+v", st.Step)
	}
	if kept := st.Failed("no answer", false, noon); kept.Step.Phase != Completing || kept.Offers("public_01") {
		t.Errorf("what could not be done may have been: %+v", kept.Step)
	}
	if back := st.Failed("in use", true, noon); back.Step.Phase != Started || back.Step.Error != "in use" || !back.Offers("public_01") {
		t.Errorf("refused: %+v", back.Step)
	}
	seen.Phase, seen.Live = Completed, []string{"public_02"}
	if st = st.Learn(seen, noon); st.Step != nil || st.Last == nil || st.Last.Phase != Completed || st.Offers("public_01") {
		t.Errorf("done: %+v", st)
	}
	again := st.Begun(Step{Name: "03", Version: "public_03", Previous: "public_02"}, noon)
	if got := again.Learn(seen, noon); got.Step == nil || got.Step.Phase != Starting {
		t.Errorf("what is not yet to be seen: %+v", got.Step)
	}
}

// However starts, completes, returns, looks and changes of what runs follow each other, nothing that was let run is without its schema.
func TestNothingRunsWithoutItsSchema(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := State{Database: "shop", Schema: "public", Live: []string{"public_0"}}
		db := Seen{Schema: "public", Live: []string{"public_0"}} // what there is in truth
		var uses []Use
		n := 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"run", "run", "end", "bake", "start", "complete", "return", "work", "fail", "look"}).Draw(t, "op") {
			case "run":
				u := use(fmt.Sprint("v", len(uses)), fmt.Sprint("public_", rapid.IntRange(max(0, n-2), n+1).Draw(t, "schema")), "new", "shop-1")
				u.Understands = []string{u.Schema}
				if st.MayRun(u) == nil {
					uses = append(uses, u)
				}
			case "end":
				if len(uses) > 0 {
					i := rapid.IntRange(0, len(uses)-1).Draw(t, "which")
					uses = slices.Delete(uses, i, i+1)
				}
			case "bake":
				for i := range uses {
					uses[i].Rollout, uses[i].Role = "", "stable"
				}
			case "start":
				name := fmt.Sprint(n + 1)
				if st.Step == nil && st.MayStart(name) == nil {
					n++
					st = st.Begun(Step{Name: name, Version: "public_" + name, Previous: st.Live[0]}, noon)
				}
			case "complete":
				if st.Step != nil && st.MayComplete(st.Step.Name, uses, rapid.Bool().Draw(t, "vouched")) == nil {
					st = st.Toward(Completing, "ann", "", false, false, noon)
				}
			case "return":
				if st.Step != nil && st.MayReturn(st.Step.Name, uses) == nil {
					st = st.Toward(Returning, "ann", "", false, false, noon)
				}
			case "work":
				if st.Busy() {
					db.Migration, db.Version, db.Previous = st.Step.Name, st.Step.Version, st.Step.Previous
					switch st.Step.Phase {
					case Starting:
						db.Phase, db.Live = Started, []string{db.Version, db.Previous}
					case Completing:
						db.Phase, db.Live = Completed, []string{db.Version}
					case Returning:
						db.Phase, db.Live = RolledBack, []string{db.Previous}
					}
				}
			case "fail": // it is not known whether it was done
				st = st.Failed("no answer", false, noon)
			case "look":
				st = st.Learn(db, noon)
			}
			for _, u := range uses {
				if !slices.Contains(db.Live, u.Schema) {
					t.Fatalf("%s is without %s: %v, %+v", u, u.Schema, db.Live, st.Step)
				}
			}
		}
	})
}
