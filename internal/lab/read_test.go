package lab_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/internal/store"
)

// better is what users of a good variant do, and worse those of one that hurts.
var (
	better = map[string]map[string]float64{"blue": {"order": 0.2, "failure": 0.02}, "green": {"order": 0.3, "failure": 0.02}}
	worse  = map[string]map[string]float64{"blue": {"order": 0.2, "failure": 0.02}, "green": {"order": 0.3, "failure": 0.08}}
	alike  = map[string]map[string]float64{"blue": {"order": 0.2, "failure": 0.02}, "green": {"order": 0.2, "failure": 0.02}}
)

func TestDraft(t *testing.T) {
	w := begin(t)
	r := w.read("colour")
	if r.Run.Phase != lab.Draft || r.Report != nil || r.Run.Spec.Hypothesis != "green is seen better" {
		t.Errorf("%+v", r)
	}
	if _, err := w.Read(t.Context(), "gone", 0, w.now); !errs.Is(err, errs.Missing) {
		t.Errorf("got %v", err)
	}
}

// What is seen is recorded when it comes to something else, and only then.
func TestReadings(t *testing.T) {
	w := begin(t)
	run := w.begin("colour")
	w.look("colour")
	if r := w.read("colour"); r.Report.Reading.Decision != experiment.KeepRunning || r.Report.Progress.Users != 0 {
		t.Errorf("with nobody: %+v", r.Report.Reading)
	}
	w.come(run, 3000, better)
	w.look("colour")
	w.come(run, 6000, better) // numbers move, and mean the same
	w.look("colour")
	if all, err := w.List(t.Context()); err != nil || all[0].Report.Progress.Users != 9000 {
		t.Errorf("the list tells of %d users, %v", all[0].Report.Progress.Users, err)
	}
	r := w.read("colour")
	if r.Report.Reading.Decision != experiment.KeepRunning || !strings.Contains(r.Report.Reading.Why, "not shown to be within its margin") {
		t.Errorf("%+v", r.Report.Reading)
	}
	w.crowd.users = nil
	w.come(run, 60000, better)
	w.look("colour")
	if r := w.read("colour"); r.Report.Reading.Decision != experiment.Ship || r.Run.Reading != r.Report.Reading {
		t.Errorf("%+v, %+v", r.Run.Reading, r.Report.Reading)
	}
	var words []string
	for _, e := range w.store.events[1:] {
		var data struct {
			Reading experiment.Reading
			Report  *experiment.Report
		}
		if err := json.Unmarshal(e.Data, &data); err != nil || data.Report == nil || len(data.Report.Metrics) != 2 {
			t.Fatalf("%s has no evidence: %v\n%s", e.Type, err, e.Data)
		}
		words = append(words, e.Type+" "+e.Actor+" "+string(data.Reading.Decision))
	}
	if got := strings.Join(words, ", "); got != "experiment.read system:lab keep running, experiment.read system:lab ship" {
		t.Errorf("recorded: %s", got)
	}
	all, err := w.List(t.Context())
	if err != nil || len(all) != 1 || all[0].Reading.Decision != experiment.Ship || all[0].Report == nil || all[0].Read != w.now.UTC() {
		t.Errorf("%+v, %v", all, err)
	}
}

// Who was no participant, or came before the assignment was in force everywhere, or chose a variant, does not count.
func TestOthersDoNotCount(t *testing.T) {
	w := begin(t)
	w.catalog.apply(t, asking("x", "audience: {segment: germans}\nshare: 50"))
	run := w.begin("x")
	w.come(run, 8000, alike) // half of them French, who have blue
	r := w.read("x")
	if users := r.Report.Progress.Users; users < 1850 || users > 2150 || r.Report.Mismatch.Broken {
		t.Errorf("%d of 8000 users are read, expected 2000; %+v", users, r.Report.Mismatch)
	}
	counted := r.Report.Progress.Users
	for i := range 4000 {
		w.crowd.users[i].at = run.Started.Add(4 * time.Second)
	}
	if r := w.read("x"); r.Report.Progress.Users > counted*55/100 {
		t.Errorf("%d users are read, of whom half came too early", r.Report.Progress.Users)
	}
	body := `{"in":["` + w.crowd.users[7998].key + `"],"out":[`
	for _, u := range w.crowd.users[5000:] {
		body += `"` + u.key + `",`
	}
	before := w.read("x").Report.Progress.Users
	if _, err := w.store.Commit(t.Context(), store.Write{Puts: []store.Doc{{Kind: "Choices", Name: "flag:shop:button", Body: []byte(strings.TrimSuffix(body, ",") + "]}")}}}); err != nil {
		t.Fatal(err)
	}
	if r := w.read("x"); r.Report.Progress.Users > before*35/100 {
		t.Errorf("%d users are read, of %d before three quarters chose", r.Report.Progress.Users, before)
	}
}

func TestMismatchDoesNotEnd(t *testing.T) {
	for name, spoil := range map[string]func(u *user, i int){
		"shares": func(u *user, i int) {
			u.at = map[bool]time.Time{true: {}, false: u.at}[u.variant == "green" && i%5 == 0]
		},
		"multiple": func(u *user, i int) { u.several = i%10 == 0 },
	} {
		w := begin(t)
		run := w.begin("colour")
		w.come(run, 20000, worse)
		for i := range w.crowd.users {
			spoil(&w.crowd.users[i], i)
		}
		w.look("colour")
		r := w.read("colour")
		if r.Run.Phase != lab.Running || r.Report.Reading.Decision != experiment.Broken || r.Report.Mismatch.Broken == r.Report.Multiple.Broken {
			t.Errorf("%s: %s, %+v", name, r.Run.Phase, r.Report.Reading)
		}
	}
}

// When nobody waits for more the reading says so, and a guardrail is still looked at.
func TestTimeIsOver(t *testing.T) {
	w := begin(t)
	w.catalog.apply(t, asking("x", "maxDuration: 48h"))
	run := w.begin("x")
	w.come(run, 3000, alike)
	w.look("x")
	w.now = run.Started.Add(48*time.Hour + time.Second)
	w.look("x")
	r := w.read("x")
	if r.Report.Reading.Decision != experiment.Stop || !strings.HasPrefix(r.Report.Reading.Why, "its time is over: ") || r.Run.Phase != lab.Running {
		t.Errorf("%s, %+v", r.Run.Phase, r.Report.Reading)
	}
	w.crowd.users = nil
	w.come(run, 20000, worse)
	w.now = run.Started.Add(49 * time.Hour)
	w.look("x")
	if r := w.read("x"); r.Run.Phase != lab.Ended {
		t.Errorf("a harmed guardrail leaves it %s", r.Run.Phase)
	}
}

// A fixed-horizon test is read once: what comes after the planned size does not change what it said.
func TestWelchIsReadOnce(t *testing.T) {
	w := begin(t)
	w.catalog.apply(t, asking("fixed", "method: welch\nusers: 2000"))
	run := w.begin("fixed")
	w.come(run, 3000, better)
	w.look("fixed")
	if r := w.read("fixed"); r.Report.Reading.Decision != experiment.KeepRunning || !strings.Contains(r.Report.Reading.Why, "read once") {
		t.Fatalf("%+v", r.Report.Reading)
	}
	w.crowd.users = nil
	w.come(run, 4500, alike)
	w.look("fixed")
	said := w.read("fixed").Report.Reading
	if said.Decision != experiment.Stop {
		t.Fatalf("%+v", said)
	}
	w.crowd.users = nil
	w.come(run, 30000, better)
	w.look("fixed")
	if r := w.read("fixed"); r.Report.Reading != said {
		t.Errorf("it says now %+v", r.Report.Reading)
	}
	w.crowd.users = nil
	w.come(run, 30000, worse)
	w.look("fixed")
	if r := w.read("fixed"); r.Run.Phase != lab.Ended {
		t.Error("a harmed guardrail does not end it")
	}
}

// A declaration that is edited while it runs is for the next run, which is said.
func TestEdited(t *testing.T) {
	w := begin(t)
	w.begin("colour")
	if w.read("colour").Edited {
		t.Error("nothing was edited")
	}
	w.catalog.apply(t, asking("colour", "share: 10"))
	if r := w.read("colour"); !r.Edited || r.Run.Spec.Share != 0 {
		t.Errorf("edited %v, share %g", r.Edited, r.Run.Spec.Share)
	}
	if _, err := w.Stop(t.Context(), "user:ann", "colour", "", "", w.now); err != nil {
		t.Fatal(err)
	}
	if w.read("colour").Edited {
		t.Error("what has ended keeps what it was")
	}
	if run := w.begin("colour"); run.Spec.Share != 10 {
		t.Errorf("the next run has a share of %g", run.Spec.Share)
	}
}

// What a run ended with stands, also when its events are no longer kept.
func TestEndedStands(t *testing.T) {
	w := begin(t)
	run := w.begin("colour")
	w.come(run, 60000, better)
	if _, err := w.Stop(t.Context(), "user:ann", "colour", "", "", w.now); err != nil {
		t.Fatal(err)
	}
	asked := w.crowd.asked
	w.crowd.users = nil
	delete(w.catalog, "experiment/colour")
	r := w.read("colour")
	if r.Report == nil || r.Report.Reading.Decision != experiment.Ship || r.Report.Progress.Users != 60000 || r.Run.Report != nil || w.crowd.asked != asked {
		t.Errorf("%+v", r)
	}
}

func TestSeries(t *testing.T) {
	w := begin(t)
	run := w.begin("colour")
	w.come(run, 6000, better)
	r, err := w.Read(t.Context(), "colour", 10*time.Minute, w.now)
	if err != nil || len(r.Series) != 2 {
		t.Fatalf("%+v, %v", r.Series, err)
	}
	green := r.Series[1].Effects["green"]
	if c := r.Report.Metrics[0].Treatments[0]; green.Effect != *c.Effect || green.Low != c.CI[0] || green.High != c.CI[1] || r.Series[1].Users != 6000 {
		t.Errorf("the last point is %+v, the report has %v %v", green, *c.Effect, *c.CI)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}
