package incident

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/errs"
)

var day0 = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

func opened(severity int) State {
	return Fold(State{}, Event{Type: EvOpened, Time: day0, Actor: "system:responder", ID: "inc-1", Number: 1, Title: "shop fails", Service: "shop", Severity: &severity, Origin: ByPage,
		Page: &PageRef{Key: "k", At: day0}, Impact: &Impact{Start: day0.Add(-time.Minute), Source: "data", Where: "version v2"}})
}

func must(t *testing.T, s State, a Ask, now time.Time) State {
	t.Helper()
	a.Actor = "user:ann"
	events, err := Decide(s, a, now)
	if err != nil {
		t.Fatalf("%s: %v", a.Verb, err)
	}
	again, err := Decide(FoldAll(s, events), a, now)
	if err != nil || len(again) > 0 && a.Verb != Note && a.Verb != Update && a.Verb != Blame && a.Verb != Learn && a.Verb != Act {
		t.Errorf("%s again: %v, %v", a.Verb, again, err)
	}
	return FoldAll(s, events)
}

func refused(t *testing.T, s State, a Ask, now time.Time, want string) {
	t.Helper()
	events, err := Decide(s, a, now)
	if err == nil || !strings.Contains(err.Error(), want) || len(events) > 0 {
		t.Errorf("%s: %v, %v, expected %q", a.Verb, events, err, want)
	}
}

func TestAnIncidentIsClosedAfterItsChecklist(t *testing.T) {
	s := opened(1)
	now := func(minutes int) time.Time { return day0.Add(time.Duration(minutes) * time.Minute) }
	refused(t, s, Ask{Verb: Close}, now(1), "it is mitigated; start and end of the impact are known; the cause is confirmed")
	refused(t, s, Ask{Verb: Resolve}, now(1), "is not mitigated")
	s = must(t, s, Ask{Verb: Ack}, now(2))
	if s.Commander != "user:ann" {
		t.Errorf("led by %q", s.Commander)
	}
	s = must(t, s, Ask{Verb: Update, Text: "we are on it"}, now(3))
	s = must(t, s, Ask{Verb: Mitigate}, now(10))
	refused(t, s, Ask{Verb: Resolve}, now(11), "not known when users of inc-1 were hurt last")
	s = must(t, s, Ask{Verb: Measure, Impact: &Impact{End: now(9), Source: "data"}}, now(11))
	refused(t, s, Ask{Verb: Resolve}, now(12), "alert k of inc-1 still fires")
	if all, err := Decide(s, Ask{Verb: Resolve, Text: "its window has yet to forget"}, now(12)); err != nil || all[len(all)-1].Text != "its window has yet to forget" {
		t.Errorf("with a reason: %v, %v", all, err)
	}
	s = Fold(s, Event{Type: EvCleared, Time: now(12), Page: &PageRef{Key: "k"}})
	s = must(t, s, Ask{Verb: Resolve}, now(60))
	refused(t, s, Ask{Verb: Blame, Cause: &Cause{Unknown: true}}, now(61), "say what was looked at")
	s = must(t, s, Ask{Verb: Blame, Cause: &Cause{Ref: "rollout/shop-2", Text: "a bad release"}}, now(61))
	refused(t, s, Ask{Verb: Close}, now(62), "severity 1 wants a postmortem: what went well and what did not; there is an action item")
	s = must(t, s, Ask{Verb: Learn, Learned: &Learned{Well: "it was quick"}}, now(63))
	s = must(t, s, Ask{Verb: Learn, Learned: &Learned{Badly: "no test"}}, now(63))
	s = must(t, s, Ask{Verb: Act, Action: &Action{Text: "write the test"}}, now(64))
	refused(t, s, Ask{Verb: Close}, now(65), "owner and a date (not so: 1)")
	s = must(t, s, Ask{Verb: Act, Action: &Action{Number: 1, Owner: "bob", Due: now(9000)}}, now(65))
	s = must(t, s, Ask{Verb: Close}, now(66))
	if s.Phase != Closed || s.Learned.Well == "" || s.Actions[0].Text != "write the test" {
		t.Errorf("%+v", s)
	}
	refused(t, s, Ask{Verb: Rate, Commander: "bob"}, now(67), "is closed")
	s = must(t, s, Ask{Verb: Act, Action: &Action{Number: 1, Done: now(70)}}, now(70))
	if s.Actions[0].DoneBy != "user:ann" {
		t.Errorf("%+v", s.Actions)
	}
	times := s.Times()
	for name, c := range map[string]struct {
		got  *float64
		want float64
	}{"detect": {times.Detect, 60}, "acknowledge": {times.Acknowledge, 120}, "tell": {times.Tell, 240}, "mitigate": {times.Mitigate, 600}, "remediate": {times.Remediate, 3660}} {
		if c.got == nil || *c.got != c.want {
			t.Errorf("%s: %v, expected %v", name, c.got, c.want)
		}
	}
	s = must(t, s, Ask{Verb: Reopen, Text: "again"}, now(80))
	if s.Phase != Open || s.Reopened != 1 || !s.Impact.End.IsZero() {
		t.Errorf("%+v", s)
	}
}

// TestNothingIsSkipped: whatever is asked in whatever order, phases follow one another, and what is closed has nothing
// left on its list.
func TestNothingIsSkipped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := opened(rapid.IntRange(0, 4).Draw(t, "severity"))
		now := day0
		for range rapid.IntRange(1, 40).Draw(t, "asks") {
			now = now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "later")) * time.Second)
			a := Ask{Verb: rapid.SampledFrom(Verbs).Draw(t, "verb"), Actor: "user:ann", Text: rapid.SampledFrom([]string{"", "words"}).Draw(t, "text")}
			if rapid.Bool().Draw(t, "more") {
				a.Impact = &Impact{End: now, Source: "person"}
				a.Cause = &Cause{Text: "it", Unknown: rapid.Bool().Draw(t, "unknown")}
				a.Learned = &Learned{Well: "a", Badly: "b"}
				a.Action = &Action{Number: rapid.IntRange(0, 2).Draw(t, "number"), Text: "do", Owner: rapid.SampledFrom([]string{"", "bob"}).Draw(t, "owner"), Due: now}
			}
			if rapid.IntRange(0, 3).Draw(t, "clears") == 0 {
				s = Fold(s, Event{Type: EvCleared, Time: now, Page: &PageRef{Key: "k"}})
			}
			before := s
			events, err := Decide(s, a, now)
			if err != nil {
				if len(events) > 0 || errs.KindOf(err) == errs.Internal {
					t.Fatalf("%v %v", events, err)
				}
				continue
			}
			for _, e := range events {
				if next := Fold(s, e); next.Phase.rank() > s.Phase.rank()+1 && !(s.Phase == Acknowledged && next.Phase == Mitigated) {
					t.Fatalf("%s: from %s to %s", e.Type, s.Phase, next.Phase)
				}
				s = Fold(s, e)
				if e.Phase != s.Phase {
					t.Fatalf("%s says %s, and it is %s", e.Type, e.Phase, s.Phase)
				}
			}
			if s.Phase == Closed && before.Phase != Closed {
				for _, it := range s.Checklist() {
					if !it.Done {
						t.Fatalf("closed without: %s", it.Text)
					}
				}
			}
			if s.Phase.Before(before.Phase) && a.Verb != Reopen {
				t.Fatalf("%s led from %s to %s", a.Verb, before.Phase, s.Phase)
			}
		}
	})
}

func TestMeasures(t *testing.T) {
	h := func(n int) time.Time { return day0.Add(time.Duration(n) * time.Hour) }
	deps := []Deployment{
		{Service: "shop", Rollout: "shop-1", Committed: h(-10), Started: h(0), Reached: h(1), Out: h(2)},
		{Service: "shop", Rollout: "shop-2", Started: h(3), Reached: h(4), Hurt: h(4), Safe: h(5), Back: true},
		{Service: "shop", Rollout: "shop-3", Started: h(6), Back: true}, // before anybody had it
		{Service: "cart", Rollout: "cart-1", Committed: h(0), Started: h(1), Reached: h(1), Out: h(4)},
		{Service: "cart", Rollout: "cart-0", Started: h(-90), Reached: h(-80), Out: h(-70)},
	}
	inc := opened(2)
	inc.Cause, inc.Service, inc.Mitigated, inc.Phase = &Cause{Ref: "rollout/cart-1"}, "cart", h(3), Mitigated
	all := Dora(deps, []State{inc}, h(-24), h(24))
	if len(all) != 3 || all[0].Service != "" || all[1].Service != "cart" || all[2].Service != "shop" {
		t.Fatalf("%+v", all)
	}
	shop := all[2]
	if shop.Deployments != 1 || shop.PerDay != 0.5 || *shop.Lead != 12*3600 || shop.Reached != 2 || shop.Failed != 1 || *shop.FailureRate != 0.5 || *shop.Restore != 3600 {
		t.Errorf("%+v", shop)
	}
	if cart := all[1]; cart.Failed != 1 || *cart.Restore != 3*3600+60 || cart.Deployments != 1 {
		t.Errorf("%+v", cart)
	}
	trend := Trends([]State{inc, opened(3)}, "", h(24), 24*time.Hour, 2)
	if trend[0].Incidents != 0 || trend[1].Incidents != 2 || *trend[1].Detect != 60 || *trend[1].Mitigate != 3*3600+60 {
		t.Errorf("%+v", trend)
	}
}

func TestPostmortem(t *testing.T) {
	s := opened(1)
	s.Cause = &Cause{Ref: "rollout/shop-2", Text: "a bad <script>release", By: "user:ann", Rank: 1}
	s.Actions = []Action{{Number: 1, Text: "write | the test", Owner: "bob", Due: day0}}
	doc := Postmortem(s, Dossier{Users: 1200, Causes: []Candidate{{Rank: 1, Title: "shop v2", Share: 0.97, Why: "It was near."}}, Timeline: []Entry{{At: day0, Text: "alert\n- forged", Mark: "detected"}}})
	for _, want := range []string{"# inc-1: shop fails", "| TTD, to detect | 1 min |", "as the data says; the end is not known. It was seen first in version v2. 1,200 users got what hurt.", "a bad &lt;script>release `rollout/shop-2` (confirmed by ann; the ranking had it at 1)",
		"| 1 | shop v2 | 97 % | It was near. |", `| 1 | write \| the test | bob | 2026-11-02 | – |`, "- 2026-11-02 08:00:00 UTC **detected** alert - forged", "Not written yet."} {
		if !strings.Contains(doc, want) {
			t.Errorf("no %q in:\n%s", want, doc)
		}
	}
}

func TestSignals(t *testing.T) {
	for name, want := range map[string]string{"CertificateExpiresSoon": Certificate, "node_filesystem_full": Disk, "PodCrashLooping": Crash, "TrafficDrop": Traffic, "HighErrorRate": "", "CustomerErrors": Customer, "upstream-down": Dependency} {
		s, ok := SignalOf(map[string]string{"alertname": name, "service": "shop"}, nil)
		if s.Kind != want || ok != (want != "") {
			t.Errorf("%s: %q, expected %q", name, s.Kind, want)
		}
	}
	if s, ok := SignalOf(map[string]string{"alertname": "x", "cause": "disk", "mountpoint": "/data"}, map[string]string{"summary": "97 % full"}); !ok || s.Subject != "/data" || s.Text != "97 % full" {
		t.Errorf("%+v", s)
	}
}

func TestWhatIsSentTwiceIsOneThing(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := State{ID: "inc-1", Phase: Mitigated}
	for _, a := range []Ask{
		{Verb: Learn, Actor: "user:ann", Learned: &Learned{Well: "it was seen"}},
		{Verb: Act, Actor: "user:ann", Action: &Action{Text: "test it", Owner: "bob", Due: now.AddDate(0, 0, 7)}},
	} {
		first, err := Decide(s, a, now)
		if err != nil || len(first) != 1 {
			t.Fatalf("%s: %v, %v", a.Verb, first, err)
		}
		s = FoldAll(s, first)
		if again, err := Decide(s, a, now.Add(time.Second)); err != nil || len(again) != 0 {
			t.Errorf("%s again: %v, %v", a.Verb, again, err)
		}
	}
	a := Ask{Verb: Act, Actor: "user:ann", Action: &Action{Text: "test it", Owner: "ann", Due: now.AddDate(0, 0, 7)}}
	if more, err := Decide(s, a, now); err != nil || len(more) != 1 {
		t.Errorf("the same for somebody else: %v, %v", more, err)
	}
}
