package availability

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

var (
	start = time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	rule  = resource.Availability{BadShare: 1, MinBad: 1, SlowOver: fleet.Dur(time.Second)}
)

func TestMinutes(t *testing.T) {
	for _, tc := range []struct {
		name   string
		counts counts
		want   Minute
	}{
		{"good", counts{known: true, requests: 100}, Minute{State: Good, Requests: 100}},
		{"failed", counts{known: true, requests: 100, failed: 2}, Minute{State: Bad, Requests: 100, Failed: 2, Share: 0.02}},
		{"too few to count", counts{known: true, requests: 1000, failed: 2}, Minute{State: Good, Requests: 1000, Failed: 2, Share: 0.002}},
		{"what is shed is not counted as failed, too", counts{known: true, requests: 100, failed: 40, shed: 30}, Minute{State: Bad, Requests: 100, Failed: 10, Shed: 30, Share: 0.4}},
		{"shed before there was a version", counts{known: true, shed: 7}, Minute{State: Bad, Requests: 7, Shed: 7, Share: 1}},
		{"slow and failed", counts{known: true, requests: 10, failed: 8, slow: 8}, Minute{State: Bad, Requests: 10, Failed: 8, Slow: 8, Share: 1}},
		{"idle", counts{known: true}, Minute{State: Idle}},
		{"unknown", counts{}, Minute{State: Unknown}},
		{"counted, though the gauge was not seen", counts{requests: 5}, Minute{State: Good, Requests: 5}},
	} {
		got := minuteOf(tc.counts, rule)
		if got.State != tc.want.State || got.Requests != tc.want.Requests || got.Failed != tc.want.Failed || got.Shed != tc.want.Shed || got.Slow != tc.want.Slow || got.Share != tc.want.Share {
			t.Errorf("%s: %+v, expected %+v", tc.name, got, tc.want)
		}
	}
}

func TestMinutesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 200).Draw(t, "minutes")
		r := Report{From: start, Rule: rule}
		all := make([]counts, n)
		var happened []Happening
		for i := range all {
			all[i] = counts{known: rapid.Bool().Draw(t, "known"), requests: float64(rapid.IntRange(0, 50).Draw(t, "requests")), failed: float64(rapid.IntRange(0, 50).Draw(t, "failed")),
				shed: float64(rapid.IntRange(0, 20).Draw(t, "shed")), slow: float64(rapid.IntRange(0, 50).Draw(t, "slow"))}
			if rapid.Bool().Draw(t, "event") {
				happened = append(happened, Happening{At: start.Add(time.Duration(rapid.IntRange(-600, 60*n).Draw(t, "at")) * time.Second)})
			}
		}
		judge(&r, all, happened)
		if r.Good+r.Bad+r.Idle+r.Unknown != n || len(r.Minutes) != n || r.Hurt > r.Requests {
			t.Fatalf("%+v", r)
		}
		for i, m := range r.Minutes {
			if m.Share < 0 || m.Share > 1 || m.Shed > m.Requests || m.Failed > m.Requests || m.Slow > m.Requests {
				t.Fatalf("%+v", m)
			}
			if m.State != Bad && m.Beside != nil {
				t.Fatalf("beside a minute that is %s", m.State)
			}
			first := i
			for first > 0 && r.Minutes[first-1].State == Bad {
				first--
			}
			for _, k := range m.Beside {
				if at := r.Happened[k].At; at.Before(r.Minutes[first].At.Add(-before)) || !at.Before(m.At.Add(time.Minute)) {
					t.Fatalf("%s stands beside %s", at, m.At)
				}
			}
		}
		for i := 1; i < len(r.Happened); i++ {
			if r.Happened[i].At.Before(r.Happened[i-1].At) && r.Minutes != nil {
				// they are in the order in which they first stand beside a minute, which is that of time within a spell
				if r.Happened[i-1].At.Sub(r.Happened[i].At) > before {
					t.Fatalf("%v before %v", r.Happened[i-1].At, r.Happened[i].At)
				}
			}
		}
	})
}

// world answers for the ports.
type world struct {
	spec   resource.Service
	lines  map[string][]Line // by the begin of what is asked
	events []audit.Event
	asked  int
}

func (w *world) Get(_ context.Context, kind, name string) (resource.Resource, error) {
	if name != "shop" {
		return resource.Resource{}, errs.E(errs.Missing, "no service %q", name)
	}
	return resource.New(name, w.spec)
}

func (w *world) List(context.Context, string, string, int) ([]resource.Resource, error) {
	spec, _ := json.Marshal(map[string]string{"service": "shop"})
	return []resource.Resource{{Metadata: resource.Metadata{Name: "web"}, Spec: spec}}, nil
}

func (w *world) QueryRange(_ context.Context, expr string, _, _ time.Time, _ time.Duration) ([]Line, error) {
	for begin, lines := range w.lines {
		if strings.HasPrefix(expr, begin) {
			return lines, nil
		}
	}
	return nil, nil
}

func (w *world) Events(_ context.Context, q store.EventQuery) ([]audit.Event, error) {
	w.asked++
	var out []audit.Event
	if q.Backward {
		return w.events[max(0, len(w.events)-1):], nil
	}
	for _, e := range w.events {
		if e.Seq > q.After && len(out) < q.Limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func (w *world) tell(after time.Duration, typ, subject, data string) {
	w.events = append(w.events, audit.Event{Seq: int64(len(w.events) + 1), Time: start.Add(after), Type: typ, Subject: subject, Actor: "user:ann", Data: json.RawMessage(data)})
}

func line(labels map[string]string, at ...float64) Line {
	l := Line{Labels: labels}
	for i, v := range at {
		if v >= 0 {
			l.Points = append(l.Points, [2]float64{float64(start.Unix()) + 60*float64(i), v})
		}
	}
	return l
}

func TestABadMinuteWithWhatStoodBesideIt(t *testing.T) {
	w := &world{spec: resource.Service{Run: resource.Run{Command: []string{"{artifact}"}}, Plan: "standard"}, lines: map[string][]Line{
		"ringfence_requests_total":           {line(map[string]string{"code": "200"}, 100, 200, 290, 390), line(map[string]string{"code": "500"}, -1, -1, 10, 10)},
		"ringfence_gateway_failures_total":   {line(map[string]string{"reason": "destination_unavailable", "version": "v2"}, -1, -1, 4, 4)},
		"ringfence_gateway_ejections_total":  {line(map[string]string{"version": "v2"}, 0, 0, 1, 1)},
		"max(ringfence_gateway_held_request": {line(nil, 0, 0, 0, 0)},
	}}
	for range 3000 { // long ago: what is asked for is found without reading all of it
		w.tell(-48*time.Hour, "resource.applied", "service/other", `{}`)
	}
	w.tell(-3*time.Minute, "stage.exposed", "rollout/shop-7", `{"ring":"canary"}`)
	w.tell(-2*time.Minute, "stage.exposed", "rollout/other-7", `{"ring":"canary"}`)
	w.tell(30*time.Second, "instance.restarted", "service/shop", `{"instance":"shop/v2/1","unit":"local","reason":"exit status 1"}`)
	w.tell(40*time.Second, "unit.drained", "unit/local", `{"reason":"new kernel"}`)
	w.tell(41*time.Second, "unit.drained", "unit/rome", `{"reason":"not ours"}`)
	w.tell(50*time.Second, "stage.exposed", "rollout/flag:web:banner-2", `{"ring":"all"}`)
	w.tell(70*time.Second, "incident.opened", "incident/INC-1", `{"service":"shop","title":"errors"}`)
	w.tell(10*time.Minute, "unit.returned", "unit/local", `{}`)
	r, err := (&Reader{Catalog: w, Record: w, Metrics: w}).Read(t.Context(), "shop", start, start.Add(3*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Minutes) != 3 || r.Bad != 1 || r.Good != 2 || r.Minutes[1].State != Bad || r.Minutes[1].Failed != 10 || r.Minutes[1].Requests != 100 || r.Hurt != 10 || r.Requests != 300 {
		t.Fatalf("%+v", r)
	}
	if m := r.Minutes[1]; len(m.Reasons) != 1 || m.Reasons[0] != (Reason{"destination_unavailable", 4}) {
		t.Errorf("%+v", m.Reasons)
	}
	var kinds []string
	for _, k := range r.Minutes[1].Beside {
		kinds = append(kinds, r.Happened[k].Kind)
	}
	if got := strings.Join(kinds, " "); got != "rollout restart unit flag ready ejection incident" {
		t.Errorf("beside it: %s\n%+v", got, r.Happened)
	}
	if r.Happened[1].Text != "shop/v2/1 in unit local was started again: exit status 1" || r.Happened[2].Text != "unit local drained: new kernel" {
		t.Errorf("%+v", r.Happened)
	}
	if w.asked > 20 {
		t.Errorf("the record was asked %d times", w.asked)
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	w := &world{spec: resource.Service{Run: resource.Run{Command: []string{"{artifact}"}}}}
	r := &Reader{Catalog: w, Record: w, Metrics: w}
	for name, want := range map[string]errs.Kind{"other": errs.Missing} {
		if _, err := r.Read(t.Context(), name, start, start.Add(time.Hour)); !errs.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.Read(t.Context(), "shop", start, start.Add(48*time.Hour)); !errs.Is(err, errs.Invalid) {
		t.Errorf("two days: %v", err)
	}
	r.Metrics = nil
	if _, err := r.Read(t.Context(), "shop", start, start.Add(time.Hour)); !errs.Is(err, errs.Unavailable) {
		t.Errorf("without metrics: %v", err)
	}
}
