package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/logs"
)

func TestRequestsThatFailOrAreSlowAreNoted(t *testing.T) {
	r := newRig(t, Options{Unit: "eu"})
	r.backend("v1", func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/bad":
			w.WriteHeader(500)
		case "/slow":
			time.Sleep(30 * time.Millisecond)
		}
	})
	r.apply(shop(func(s *fleet.Service) { s.SlowOver = []fleet.Dur{fleet.Dur(20 * time.Millisecond)} }))
	if n := r.Notes(); len(n) != 0 {
		t.Fatalf("%+v", n)
	}
	for _, path := range []string{"/", "/slow", "/bad?card=4111"} {
		r.get(path, "Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	}
	var got []logs.Entry
	for end := time.Now().Add(30 * time.Second); len(got) < 2 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		got = append(got, r.Notes()...)
	}
	if len(got) != 2 || got[0].Severity != logs.Warn || got[0].Attributes["path"] != "/slow" || got[1].Severity != logs.Error {
		t.Fatalf("%+v", got)
	}
	e := got[1]
	if e.Service != "shop" || e.Version != "v1" || e.Ring == "" || e.Unit != "eu" || e.Trace != "4bf92f3577b34da6a3ce929d0e0e4736" || e.Attributes["code"] != "500" || strings.Contains(e.Text, "4111") {
		t.Errorf("%+v", e)
	}
}

// A flood is sampled, and it is said how many were left out; the metrics count all.
func TestAFloodOfFailuresIsSampledAndCounted(t *testing.T) {
	r := newRig(t, Options{})
	r.backend("v1", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	r.apply(shop(nil))
	r.Notes()
	for range 100 {
		r.get("/")
	}
	r.counts("100", "ringfence_requests_total", `code="500"`)
	single, away := 0, ""
	for end := time.Now().Add(30 * time.Second); away == "" && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		for _, e := range r.Notes() {
			if e.Source == logs.Gateway {
				single++
			}
			away += e.Attributes["sampled_away"]
		}
	}
	if single != notesEach || away != "80" {
		t.Errorf("%d entries, %q left out", single, away)
	}
}

func TestTraceparent(t *testing.T) {
	for _, s := range []string{"", "00-x-y-01", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", strings.Repeat("-", 50)} {
		if a, b := traceOf(s); a+b != "" {
			t.Errorf("%q is trace %q, span %q", s, a, b)
		}
	}
}
