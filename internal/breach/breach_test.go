package breach

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
)

var day = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

type line struct {
	after               time.Duration
	typ, actor, subject string
	from, why           string
}

// watch reads lines of a record and returns the names of what was found.
func watch(t testing.TB, w *Watch, lines ...line) []string {
	t.Helper()
	var names []string
	for _, l := range lines {
		data := map[string]string{}
		if l.from != "" {
			data["from"] = l.from
		}
		if l.why != "" {
			data["why"] = l.why
		}
		if l.typ == "resource.applied" {
			data["action"] = l.why
		}
		e, err := audit.New(day.Add(l.after), l.typ, l.actor, l.subject, data)
		if err != nil {
			t.Fatal(err)
		}
		e.Seq = w.Seq + 1
		for _, d := range w.Next(e) {
			if d.Owner == "" || d.Playbook == "" || d.Why == "" || d.Seq != e.Seq {
				t.Fatalf("%+v: expected an owner, a playbook and a reason", d)
			}
			names = append(names, d.Name)
		}
	}
	return names
}

func TestDetections(t *testing.T) {
	var working []line // somebody's habit: two weeks of mornings
	for d := range 14 {
		for i := range 5 {
			working = slices.Concat(working, []line{{time.Duration(d*24)*time.Hour + time.Duration(i)*10*time.Minute, "rollout.paused", "user:ann", "rollout/shop-1", "", ""}})
		}
	}
	refused := func(n int, every time.Duration) (out []line) {
		for i := range n {
			out = append(out, line{time.Duration(i) * every, "access.denied", "user:ann", "api/x", "", ""})
		}
		return out
	}
	for _, c := range []struct {
		name  string
		lines []line
		want  string
	}{
		{"one place", []line{{0, "session.started", "user:ann", "token/ann", "192.0.2.1", ""}, {time.Minute, "session.started", "user:ann", "token/ann", "192.0.2.1", ""}}, ""},
		{"two places", []line{{0, "session.started", "user:ann", "token/ann", "192.0.2.1", ""}, {time.Minute, "access.denied", "user:ann", "api/x", "198.51.100.7", ""}}, TwoPlaces},
		{"two places in a day", []line{{0, "session.started", "user:ann", "token/ann", "192.0.2.1", ""}, {8 * time.Hour, "session.started", "user:ann", "token/ann", "198.51.100.7", ""}}, ""},
		{"two people", []line{{0, "session.started", "user:ann", "token/ann", "192.0.2.1", ""}, {1, "session.started", "user:bob", "token/bob", "198.51.100.7", ""}}, ""},
		{"this machine", []line{{0, "session.started", "user:ann", "token/ann", "127.0.0.1", ""}, {1, "session.started", "user:ann", "token/ann", "192.0.2.1", ""}}, ""},
		{"one household", []line{{0, "session.started", "user:ann", "token/ann", "2001:db8::1", ""}, {1, "session.started", "user:ann", "token/ann", "2001:db8::2", ""}}, ""},
		{"refused at times", refused(9, 5*time.Minute), ""},
		{"refused often", refused(5, time.Minute), UnusualScope},
		{"at work", slices.Concat(working, []line{{14*24*time.Hour + time.Hour, "rollout.paused", "user:ann", "rollout/shop-1", "", ""}}), ""},
		{"at night", slices.Concat(working, []line{{14*24*time.Hour + 17*time.Hour, "rollout.paused", "user:ann", "rollout/shop-1", "", ""}}), UnusualHour},
		{"looking at night", slices.Concat(working, []line{{14*24*time.Hour + 17*time.Hour, "record.read", "user:ann", "record/events", "", ""}}), ""},
		{"rules, then a release", []line{{0, "policy.changed", "user:ann", "policy/rules", "", ""}, {time.Minute, "rollout.started", "user:ann", "rollout/shop-1", "", ""}}, PolicyLoosened},
		{"rules, then another's release", []line{{0, "policy.changed", "user:ann", "policy/rules", "", ""}, {time.Minute, "rollout.started", "user:bob", "rollout/shop-1", "", ""}}, ""},
		{"a plan, then a release", []line{{0, "resource.applied", "user:ann", "ringplan/standard", "", "changed"}, {time.Minute, "rollout.started", "user:ann", "rollout/shop-1", "", ""}}, PolicyLoosened},
		{"a first plan, then a release", []line{{0, "resource.applied", "user:ann", "ringplan/standard", "", "created"}, {time.Minute, "rollout.started", "user:ann", "rollout/shop-1", "", ""}}, ""},
		{"bait used", []line{{0, "honey.laid", "user:ann", "token/old", "", ""}, {1, "honey.touched", "user:old", "api/sign-in", "", ""}}, HoneyTouched},
		{"bait touched", []line{{0, "honey.laid", "user:ann", "flag/shop:gold", "", ""}, {1, "flag.changed", "user:bob", "flag/shop:gold", "", ""}}, HoneyTouched},
		{"bait taken up", []line{{0, "honey.laid", "user:ann", "token/old", "", ""}, {1, "honey.taken-up", "user:ann", "token/old", "", ""}, {2, "session.started", "user:old", "token/old", "", ""}}, ""},
		{"the record", []line{{0, "record.mismatch", "system:record", "record/log", "", "event 3"}}, RecordGap},
		{"time goes back", []line{{time.Hour, "a.done", "system:x", "x/y", "", ""}, {0, "a.done", "system:x", "x/y", "", ""}}, RecordGap},
	} {
		if got := strings.Join(watch(t, &Watch{}, c.lines...), " "); got != c.want {
			t.Errorf("%s: found %q, expected %q", c.name, got, c.want)
		}
	}
}

// The same of the same person is told once an hour, and what was read is not read again.
func TestDetectionsAreToldOnce(t *testing.T) {
	w := &Watch{}
	lines := []line{{0, "honey.laid", "user:ann", "token/old", "", ""}}
	for i := range 20 {
		lines = append(lines, line{time.Duration(i+1) * time.Minute, "honey.touched", "user:old", "api/sign-in", "", ""})
	}
	if got := watch(t, w, lines...); len(got) != 1 {
		t.Errorf("told %d times", len(got))
	}
	if got := watch(t, w, line{3 * time.Hour, "honey.touched", "user:old", "api/sign-in", "", ""}); len(got) != 1 {
		t.Errorf("told %d times after a while", len(got))
	}
	e := audit.Event{Seq: 1, Type: "honey.touched", Actor: "user:old", Time: day.Add(9 * time.Hour)}
	if got := w.Next(e); got != nil {
		t.Errorf("read again: %v", got)
	}
}

func TestReach(t *testing.T) {
	w := World{
		Principals: []policy.Principal{{Name: "root", Role: policy.Admin}, {Name: "ann", Role: policy.Operator}, {Name: "eve", Role: policy.Viewer}, {Name: "plane", Role: policy.DataPlane}},
		Services:   []Service{{Name: "shop", Rings: []Ring{{Name: "canary"}, {Name: "all", Approvers: []string{"leads"}}, {Name: "later"}}}},
		FlagSets:   []string{"shop"}, Units: []string{"local"},
		May: func(p policy.Principal, a policy.Action) bool { return policy.Allow(p, a) == nil },
	}
	what := func(name string) map[string]int {
		out := map[string]int{}
		for _, r := range Reach(w, name) {
			out[r.What] = len(r.Path)
			if r.Path[len(r.Path)-1].To != r.What {
				t.Errorf("the way to %s ends at %s", r.What, r.Path[len(r.Path)-1].To)
			}
		}
		return out
	}
	ann := what("ann")
	if ann["users/shop/canary"] != 2 || ann["approval/shop/all"] != 2 || ann["users/shop/all"] != 0 || ann["users/shop/later"] != 0 || ann["principal/root"] != 0 || ann["unit/local"] != 0 {
		t.Errorf("ann gets to %v", ann)
	}
	root := what("root")
	if root["principal/eve"] != 1 || root["unit/local"] != 2 || root["state/everything"] != 1 {
		t.Errorf("root gets to %v", root)
	}
	if eve := what("eve"); len(eve) != 1 || eve["record/events"] != 1 {
		t.Errorf("eve gets to %v", eve)
	}
	if nobody := what("nobody"); len(nobody) != 0 {
		t.Errorf("nobody gets to %v", nobody)
	}
}

func started(t testing.TB) State {
	t.Helper()
	s, err := Start("breach-0001", "stolen", 1, []string{"ann"}, 72*time.Hour, "user:bob", day)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func steps() []Ask {
	asks := []Ask{{Verb: "contain", Contained: []string{"ann: 1 sessions ended"}}, {Verb: "evidence", Evidence: &Evidence{Events: 9}}, {Verb: "notified", Text: "those concerned"}}
	for _, q := range Questions {
		asks = append(asks, Ask{Verb: "answer", Name: q, Text: "so"})
	}
	for _, c := range Checklist {
		asks = append(asks, Ask{Verb: "step", Name: c.Name})
	}
	return asks
}

// TestOnlyWhatIsDoneIsClosed: whatever is left out, in whatever order the rest is done, it cannot be closed.
func TestOnlyWhatIsDoneIsClosed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := rapid.Permutation(steps()).Draw(rt, "order")
		missing := rapid.IntRange(0, len(all)).Draw(rt, "missing") // len: none
		s := started(t)
		var err error
		for i, a := range all {
			if i == missing {
				continue
			}
			a.Now, a.Actor = day.Add(time.Hour), "user:bob"
			if s, err = s.Next(a); err != nil {
				rt.Fatal(err)
			}
		}
		closed, err := s.Next(Ask{Verb: "close", Text: "rules were kept", Now: day.Add(2 * time.Hour)})
		if whole := missing == len(all); whole != (err == nil) || whole == closed.Closed.IsZero() {
			rt.Fatalf("without %d: %v, left %v", missing, err, s.Left())
		}
		if err == nil {
			if _, err := closed.Next(Ask{Verb: "answer", Name: "detect", Text: "else"}); !errs.Is(err, errs.Conflict) {
				rt.Fatal("changed after its end: ", err)
			}
		}
	})
}

func TestRepairs(t *testing.T) {
	s := started(t)
	for i, days := range []int{2, 7, 14, 28, 28} {
		var err error
		if s, err = s.Next(Ask{Verb: "repair", Text: "mend", Owner: "team", Severity: i, Now: day}); err != nil {
			t.Fatal(err)
		}
		if due := s.Repairs[i].Due; !due.Equal(day.AddDate(0, 0, days)) {
			t.Errorf("severity %d is due %v", i, due)
		}
	}
	if late := s.Overdue(day.AddDate(0, 0, 8)); len(late) != 2 {
		t.Errorf("late: %v", late)
	}
	s, err := s.Next(Ask{Verb: "repaired", Name: "r1", Now: day})
	if err != nil || len(s.Overdue(day.AddDate(0, 0, 8))) != 1 {
		t.Error(err, s.Overdue(day.AddDate(0, 0, 8)))
	}
	for _, bad := range []Ask{{Verb: "repaired", Name: "r1"}, {Verb: "repaired", Name: "x"}, {Verb: "repair", Text: "mend"}, {Verb: "repair", Owner: "x", Text: " "}, {Verb: "answer", Name: "why", Text: "x"},
		{Verb: "answer", Name: "detect"}, {Verb: "role", Name: "king", Text: "x"}, {Verb: "step", Name: "x"}, {Verb: "notified"}, {Verb: "evidence"}, {Verb: "dance"}} {
		if _, err := s.Next(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	if _, err := Start("x", " ", 0, nil, 0, "user:x", day); err == nil {
		t.Error("a breach without a title")
	}
	if fmt.Sprint(s.Roles) != "map[lead:bob]" {
		t.Errorf("roles %v", s.Roles)
	}
}
