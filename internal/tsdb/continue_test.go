package tsdb

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/health"
)

// One who continues from the last sample misses nothing and counts nothing twice, although one gateway answers
// late, fails now and then and another joins.
func TestContinuingMissesNothing(t *testing.T) {
	rng, moods := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(3, 4)) // of the test, and of the late gateway
	p := &pages{}
	served := map[string]*atomic.Int64{"fast": {}, "late": {}, "joins": {}}
	page := func(host string, delay func() time.Duration, fails func() bool) {
		p.set(host, func(*http.Request) (string, error) {
			n := served[host].Load() // counted when the gateway answers, stored later
			time.Sleep(delay())
			if fails() {
				return "", errors.New("refused")
			}
			return fmt.Sprintf("%s %d\n", req("v2", "canary", "200"), n), nil
		})
	}
	never := func() bool { return false }
	page("fast", func() time.Duration { return 0 }, never)
	page("late", func() time.Duration { return time.Duration(moods.IntN(900)) * time.Millisecond }, func() bool { return moods.IntN(10) == 0 })
	page("joins", func() time.Duration { return 300 * time.Millisecond }, never)
	gateway := func(host string) Target {
		return Target{URL: "http://" + host + "/metrics", Interval: time.Second, Timeout: time.Second, Gateway: true}
	}
	var joined atomic.Bool
	targets := func() []Target {
		ts := []Target{gateway("fast"), gateway("late")}
		if joined.Load() {
			ts = append(ts, gateway("joins"))
		}
		return ts
	}
	inBubble(t, p, targets, func(t *testing.T, db *DB) {
		time.Sleep(2500 * time.Millisecond) // a first scrape of both
		begin := time.Now()
		q := CountsQuery{Service: "shop", Canary: "v2", From: begin}
		var got []health.Sample
		late := 0
		for i := range 600 {
			for _, n := range served {
				n.Add(int64(rng.IntN(20)))
			}
			if i == 200 {
				joined.Store(true)
			}
			time.Sleep(137 * time.Millisecond)
			q.To = time.Now().Add(time.Hour)
			samples, times, err := db.Counts(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if len(times) > 0 {
				q.From = times[len(times)-1]
				if time.Since(q.From) > 2*time.Second {
					late++
				}
			}
			got = append(got, samples...)
		}
		whole, _, err := db.Counts(t.Context(), CountsQuery{Service: "shop", Canary: "v2", From: begin, To: q.From})
		if err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(got, whole) {
			t.Errorf("continued %+v, all at once %+v", sum(got).Canary, sum(whole).Canary)
		}
		if len(whole) < 80 || sum(whole).Canary.Requests < 8000 {
			t.Errorf("only %d samples with %+v", len(whole), sum(whole).Canary)
		}
		if late > 0 {
			t.Errorf("%d answers are more than two seconds old", late)
		}
	})
}

// A service that hangs holds up no evidence.
func TestOnlyGatewaysHoldUpEvidence(t *testing.T) {
	p := &pages{}
	var n atomic.Int64
	p.set("gw", func(*http.Request) (string, error) {
		return fmt.Sprintf("%s %d\n", req("v2", "canary", "200"), n.Add(1)), nil
	})
	p.set("svc", func(r *http.Request) (string, error) { <-r.Context().Done(); return "", r.Context().Err() })
	inBubble(t, p, fixedTargets(
		Target{URL: "http://gw/metrics", Interval: time.Second, Gateway: true},
		Target{URL: "http://svc/metrics", Interval: 20 * time.Second, Timeout: 20 * time.Second},
	), func(t *testing.T, db *DB) {
		begin := time.Now()
		time.Sleep(30*time.Second + 100*time.Millisecond)
		_, times, err := db.Counts(t.Context(), CountsQuery{Service: "shop", Canary: "v2", From: begin, To: time.Now()})
		if err != nil || len(times) == 0 || time.Since(times[len(times)-1]) > 200*time.Millisecond {
			t.Errorf("last of %d samples at %v, %v", len(times), times[max(0, len(times)-1):], err)
		}
	})
}

func TestALabelChangeIsANewTarget(t *testing.T) {
	p := &pages{}
	var n atomic.Int64
	p.set("gw", func(*http.Request) (string, error) {
		return fmt.Sprintf("%s %d\n", req("v2", "canary", "200"), n.Add(10)), nil
	})
	var moved atomic.Bool
	inBubble(t, p, func() []Target {
		tg := Target{URL: "http://gw/metrics", Interval: time.Second, Gateway: true, Labels: map[string]string{"zone": "a"}}
		if moved.Load() {
			tg.Labels = map[string]string{"zone": "b", "unit": "local"}
		}
		return []Target{tg}
	}, func(t *testing.T, db *DB) {
		begin := time.Now().Add(-time.Millisecond)
		time.Sleep(10*time.Second + 100*time.Millisecond)
		moved.Store(true)
		time.Sleep(10 * time.Second)
		samples, _, err := db.Counts(t.Context(), CountsQuery{Service: "shop", Canary: "v2", From: begin, To: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range samples {
			if s.Canary == nil || s.Canary.Requests != 10 {
				t.Errorf("sample %d: %+v, expected 10 requests", i, s.Canary)
			}
		}
		if len(samples) < 18 {
			t.Errorf("%d samples in 20 s", len(samples))
		}
	})
}
