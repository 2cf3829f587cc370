package tsdb

import (
	"context"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/value"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/metric"
	"github.com/ringfence/ringfence/internal/resource"
)

// heard is what a receiver of alerts knows to fire.
type heard struct {
	mu     sync.Mutex
	firing map[string]alert.Alert
	ends   []string
}

func (h *heard) send(_ context.Context, alerts []alert.Alert) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.firing == nil {
		h.firing = map[string]alert.Alert{}
	}
	for _, a := range alerts {
		if a.EndsAt.IsZero() {
			h.firing[a.ID()] = a
		} else {
			delete(h.firing, a.ID())
			h.ends = append(h.ends, a.Labels[alert.Name])
		}
	}
	return nil
}

func (h *heard) now(context.Context) ([]alert.Alert, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []alert.Alert
	for _, a := range h.firing {
		all = append(all, a)
	}
	return all, nil
}

func (h *heard) find(name string) (alert.Alert, bool) {
	all, _ := h.now(context.Background())
	for _, a := range all {
		if a.Labels[alert.Name] == name {
			return a, true
		}
	}
	return alert.Alert{}, false
}

func write(t *testing.T, db *DB, name, service string, v float64) {
	t.Helper()
	if _, err := db.Write(t.Context(), []metric.Sample{{Labels: map[string]string{"__name__": name, "service": service}, At: time.Now(), Value: v}}); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what the evaluation of rules does by itself.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not seen: " + what)
		}
	}
}

const rulesForTest = `{"groups":[{"name":"g","interval":"1s","rules":[
	{"record":"twice","expr":"2 * sum by (service) (load)"},
	{"alert":"High","expr":"twice > 10","labels":{"severity":"page"},"annotations":{"summary":"{{ $labels.service }} is at {{ $value }}"}},
	{"alert":"Slowly","expr":"twice > 10","for":"1h"},
	{"alert":"Gone","expr":"absent(load)"}]}]}`

func declaredRules(t *testing.T, text string) func(context.Context) (map[string]resource.AlertRules, error) {
	t.Helper()
	r, problems := resource.Decode([]byte(`{"apiVersion":"ringfence.dev/v1","kind":"AlertRules","metadata":{"name":"shop"},"spec":`+text+`}`), nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	spec, err := resource.As[resource.AlertRules](r)
	if err != nil {
		t.Fatal(err)
	}
	return func(context.Context) (map[string]resource.AlertRules, error) {
		return map[string]resource.AlertRules{"shop": spec}, nil
	}
}

// TestSwitchedOff: who switches a rule off for what an alert is about ends the alert at once, whether it fires or is held as its data has gone,
// and after a restart too.
func TestSwitchedOff(t *testing.T) {
	db, err := Open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	h := &heard{}
	var off atomic.Value
	off.Store("")
	begin := func() func() {
		r := db.Rules(RulesOptions{Declared: declaredRules(t, rulesForTest), Send: h.send, Firing: h.now, Link: "http://x", Every: 50 * time.Millisecond,
			Off: func(a alert.Alert) bool { return a.Labels[alert.Name] == "High" && a.Labels["service"] == off.Load() }})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		return func() { stop(); <-done }
	}
	stop := begin()
	high := func() bool { _, is := h.find("High"); return is }
	write(t, db, "load", "shop", 7)
	eventually(t, "High fires", high)
	off.Store("shop")
	eventually(t, "High is over while the rule still holds", func() bool { return !high() })
	off.Store("cart")
	eventually(t, "High fires again", high)
	write(t, db, "load", "shop", staleNaN())
	eventually(t, "High is held", func() bool { a, is := h.find("High"); return is && a.Annotations[noData] != "" })
	stop()
	defer begin()()
	off.Store("shop")
	eventually(t, "High is not held any more", func() bool { return !high() })
}

// TestForOverARestart: what a rule has waited for is not waited for again after a restart.
func TestForOverARestart(t *testing.T) {
	dir := t.TempDir()
	h := &heard{}
	begin := func() (*Rules, func()) {
		db, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		r := db.Rules(RulesOptions{Declared: declaredRules(t, rulesForTest), Send: h.send, Firing: h.now, Link: "http://x", Every: 50 * time.Millisecond})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		return r, func() {
			stop()
			<-done
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	since := func(r *Rules) time.Time {
		for _, g := range r.Groups() {
			for _, rule := range g.Rules {
				if rule.Name == "Slowly" && rule.Alerts != nil && len(*rule.Alerts) == 1 && (*rule.Alerts)[0].State == "pending" && (*rule.Alerts)[0].ActiveAt != nil {
					return *(*rule.Alerts)[0].ActiveAt
				}
			}
		}
		return time.Time{}
	}
	r, stop := begin()
	write(t, r.db, "load", "shop", 7)
	eventually(t, "Slowly has waited for some seconds", func() bool { at := since(r); return !at.IsZero() && time.Since(at) > 6*time.Second })
	before := since(r)
	down := time.Now()
	stop()
	r, stop = begin()
	defer func() { stop() }()
	again := time.Now()
	write(t, r.db, "load", "shop", 7)
	eventually(t, "Slowly waits again", func() bool { return !since(r).IsZero() && r.evaluated("shop/g/High") })
	// what it was down is not counted, nor are the evaluations around it
	if after := since(r); after.After(again) || after.Sub(before) > again.Sub(down)+5*time.Second {
		t.Errorf("it waits since %s, and before a restart at %s it waited since %s", after, again, before)
	}
}

// Rules record, fire and end; what rests on data that has gone neither ends nor is forgotten by a restart.
func TestRules(t *testing.T) {
	db, err := Open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	h := &heard{}
	begin := func() (*Rules, func()) {
		r := db.Rules(RulesOptions{Declared: declaredRules(t, rulesForTest), Send: h.send, Firing: h.now, Link: "http://x", Every: 50 * time.Millisecond})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		return r, func() {
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	r, stop := begin()
	write(t, db, "load", "shop", 7)
	eventually(t, "High fires", func() bool { _, is := h.find("High"); return is })
	a, _ := h.find("High")
	if a.Annotations[alert.Summary] != "shop is at 14" || a.Annotations[RuleMark] != "shop/g/High" || !strings.HasPrefix(a.GeneratorURL, "http://x/explore?query=twice") {
		t.Errorf("%+v", a)
	}
	if _, is := h.find("Slowly"); is {
		t.Error("Slowly fires before its time")
	}
	write(t, db, "load", "shop", 1)
	eventually(t, "High ends", func() bool { _, is := h.find("High"); return !is })

	write(t, db, "load", "shop", 7)
	eventually(t, "High fires again", func() bool { _, is := h.find("High"); return is })
	write(t, db, "load", "shop", staleNaN())
	eventually(t, "High is held", func() bool { a, is := h.find("High"); return is && a.Annotations[noData] != "" })
	eventually(t, "what asks for nothing fires", func() bool { _, is := h.find("Gone"); return is })
	stop()
	r, stop = begin()
	defer func() { stop() }()
	eventually(t, "the group is evaluated after the restart", func() bool { return r.evaluated("shop/g/High") })
	if _, is := h.find("High"); !is {
		t.Error("High was told to be over, though its data is still gone")
	}
	write(t, db, "load", "shop", 1)
	eventually(t, "High ends once there is data", func() bool { _, is := h.find("High"); return !is })
	if g := r.Groups(); len(g) != 1 || len(g[0].Rules) != 4 || g[0].Rules[0].Type != "recording" || g[0].Rules[1].Health != "ok" {
		t.Errorf("%+v", g)
	}
}

func TestCheckRules(t *testing.T) {
	for text, want := range map[string]string{
		`{"groups":[{"name":"g","rules":[{"alert":"A","expr":"up =="}]}]}`:                                            "spec.groups[0].rules[0].expr",
		`{"groups":[{"name":"g","rules":[{"alert":"A","expr":"up","annotations":{"summary":"{{ $labels.x "}}]}]}`:     "spec.groups[0].rules[0]",
		`{"groups":[{"name":"g","rules":[{"record":"ringfence_x","expr":"up"}]}]}`:                                    "spec.groups[0].rules[0].record",
		`{"groups":[{"name":"g","interval":"10ms","rules":[{"record":"x","expr":"up"}]}]}`:                            "spec.groups[0].interval",
		`{"groups":[{"name":"g","rules":[{"alert":"A","expr":"up == 0","annotations":{"summary":"{{ $value }}"}}]}]}`: "",
	} {
		sets, err := declaredRules(t, text)(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if problems := CheckRules(sets["shop"]); len(problems) > 0 {
			got = problems[0].Path
		}
		if got != want {
			t.Errorf("%s: %q, expected %q", text, got, want)
		}
	}
}

func staleNaN() float64 { return math.Float64frombits(value.StaleNaN) }
