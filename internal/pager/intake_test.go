package pager_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/pager"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

func TestSentAgainIsOneAlert(t *testing.T) {
	m := newMemory()
	m.declare(t, resource.KindService, "shop", resource.Service{Owner: "team-shop", Runbook: "https://wiki/shop", Impact: "nobody can buy"})
	now := start
	p := pager.New(pager.Options{Store: m, Catalog: declared{m}, Now: func() time.Time { return now }})
	writes := 0
	m.before = func(store.Write) error { writes++; return nil }
	a := alert.Alert{Labels: map[string]string{alert.Name: "Burn", alert.Service: "shop", alert.Severity: "critical"}}
	send := func(a alert.Alert) {
		t.Helper()
		if err := p.Send(t.Context(), []alert.Alert{a, a}); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		send(a)
		now = now.Add(15 * time.Second)
	}
	if writes > 4 {
		t.Errorf("%d writes for one alert in 5 minutes", writes)
	}
	d, err := m.Get(t.Context(), pager.KindAlert, a.ID())
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"owner":"team-shop"`, `"severity":"critical"`, `"added":["owner"]`, `"impact":"nobody can buy"`, `"runbook_url":"https://wiki/shop"`} {
		if !contains(d.Body, part) {
			t.Errorf("%s lacks %s", d.Body, part)
		}
	}
	a.EndsAt = now
	send(a)
	send(a)
	a.EndsAt = time.Time{}
	now = now.Add(time.Minute)
	send(a)
	if d := cmp.Diff([]string{pager.EvFired, pager.EvResolved, pager.EvFired}, m.types()); d != "" {
		t.Error(d)
	}
}

// Nothing heard is not the end: the alert fires on, and is given up later, which is on the record.
func TestUnheardIsNotResolved(t *testing.T) {
	m := newMemory()
	now := start
	p := pager.New(pager.Options{Store: m, Catalog: declared{m}, Now: func() time.Time { return now }})
	a := alert.Alert{Labels: map[string]string{alert.Name: "Burn"}, EndsAt: now.Add(time.Minute)}
	if err := p.Send(t.Context(), []alert.Alert{a}); err != nil {
		t.Fatal(err)
	}
	look := func(after time.Duration) string {
		t.Helper()
		now = start.Add(after)
		if err := p.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		d, err := m.Get(t.Context(), pager.KindAlert, a.ID())
		if err != nil {
			return "gone"
		}
		switch {
		case contains(d.Body, `"expired":true`):
			return "expired"
		case contains(d.Body, `"unheard":true`):
			return "unheard"
		}
		return "fires"
	}
	for _, c := range []struct {
		after time.Duration
		want  string
	}{{59 * time.Second, "fires"}, {61 * time.Second, "unheard"}, {15 * time.Minute, "unheard"}, {17 * time.Minute, "expired"}, {90 * time.Minute, "gone"}} {
		if got := look(c.after); got != c.want {
			t.Errorf("after %s it %s, expected %s", c.after, got, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	m := newMemory()
	p := pager.New(pager.Options{Store: m, Catalog: declared{m}})
	for name, a := range map[string]alert.Alert{
		"no labels": {}, "a label without a name": {Labels: map[string]string{"": "x"}},
		"ends before it begins": {Labels: map[string]string{"a": "b"}, StartsAt: start, EndsAt: start.Add(-time.Second)},
	} {
		if err := p.Send(t.Context(), []alert.Alert{a}); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m.before = func(store.Write) error { return errors.New("the disk is full") }
	if err := p.Send(t.Context(), []alert.Alert{{Labels: map[string]string{"a": "b"}}}); err == nil {
		t.Error("taken, though it could not be stored")
	}
}

func contains(b []byte, part string) bool { return strings.Contains(string(b), part) }
