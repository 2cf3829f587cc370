package provider

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-feature/go-sdk/openfeature"
)

// script is a source that does what it is told, attempt by attempt.
type script struct {
	mu       sync.Mutex
	attempts []time.Time
	next     func(attempt int, ctx context.Context, got func(*served)) error
}

func (s *script) follow(ctx context.Context, got func(*served)) error {
	s.mu.Lock()
	s.attempts = append(s.attempts, time.Now())
	n := len(s.attempts)
	s.mu.Unlock()
	return s.next(n, ctx, got)
}

// made are the times of the attempts.
func (s *script) made() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.attempts)
}

func flags(t *testing.T, text string) *served {
	t.Helper()
	s, err := compile(text, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// scripted is a provider of a script, inside a bubble.
func scripted(t *testing.T, o Options, next func(attempt int, ctx context.Context, got func(*served)) error) (*Provider, *script) {
	o.File, o.Log = "not read", slog.New(slog.DiscardHandler)
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{next: next}
	p.source, p.o.File = s, ""
	return p, s
}

var errGone = errors.New("gone")

// A stream that ends is opened again soon and nobody is alarmed; attempts that fail come ever less often, and say so once.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := scripted(t, Options{}, func(n int, ctx context.Context, got func(*served)) error {
			if n <= 3 || n == 20 {
				got(flags(t, shop))
			}
			return errGone
		})
		if err := p.InitWithContext(t.Context(), openfeature.EvaluationContext{}); err != nil {
			t.Fatal(err)
		}
		event := <-p.EventChannel()
		if event.EventType != openfeature.ProviderStale || len(s.made()) < 4 {
			t.Errorf("%+v after %d attempts", event, len(s.made()))
		}
		if event := <-p.EventChannel(); event.EventType != openfeature.ProviderReady || len(s.made()) < 20 {
			t.Errorf("%+v after %d attempts", event, len(s.made()))
		}
		p.Shutdown()
		for i, at := range s.attempts[1:] {
			pause := at.Sub(s.attempts[i])
			most := firstPause
			if i >= 3 {
				most = min(lastPause, firstPause<<(i-2))
			}
			if pause < most/2 || pause > most {
				t.Errorf("pause %d: %v, expected %v to %v", i, pause, most/2, most)
			}
		}
	})
}

// Flags that could not be had when starting are waited for as long as was said, and no longer than the context.
func TestPatience(t *testing.T) {
	silent := func(_ int, ctx context.Context, _ func(*served)) error { <-ctx.Done(); return ctx.Err() }
	synctest.Test(t, func(t *testing.T) {
		p, _ := scripted(t, Options{Patience: 3 * time.Second}, silent)
		begun := time.Now()
		if err := p.Init(openfeature.EvaluationContext{}); err == nil || time.Since(begun) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun = time.Now()
		if err := p.InitWithContext(ctx, openfeature.EvaluationContext{}); err == nil || time.Since(begun) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		p.Shutdown()
		p.served.Store(flags(t, shop)) // as from the cache
		begun = time.Now()
		if err := p.Init(openfeature.EvaluationContext{}); err != nil || time.Since(begun) != cachePatience {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		p.Shutdown()
	})
}

// A source that refuses is an error and not merely stale; it is asked again now and then.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := scripted(t, Options{}, func(n int, _ context.Context, got func(*served)) error {
			if n == 1 {
				got(flags(t, shop))
				return errGone
			}
			return refusedError{errGone}
		})
		if err := p.Init(openfeature.EvaluationContext{}); err != nil {
			t.Fatal(err)
		}
		if event := <-p.EventChannel(); event.EventType != openfeature.ProviderError || !strings.Contains(event.Message, "gone") {
			t.Errorf("%+v", event)
		}
		time.Sleep(time.Minute)
		p.Shutdown()
		if n := len(s.made()); n < 7 || n > 15 {
			t.Errorf("%d attempts in a minute", n)
		}
	})
}

// Changes that nobody received are told as one, after the state.
func TestEventsAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := scripted(t, Options{}, func(_ int, ctx context.Context, got func(*served)) error {
			got(flags(t, shop))
			got(flags(t, switched))
			got(flags(t, strings.Replace(switched, `"small": 10`, `"small": 11`, 1)))
			<-ctx.Done()
			return ctx.Err()
		})
		if err := p.Init(openfeature.EvaluationContext{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		seen := []string{}
		for len(seen) < 2 {
			event := <-p.EventChannel()
			if event.EventType != openfeature.ProviderConfigChange {
				t.Fatalf("%+v", event)
			}
			seen = append(seen, event.FlagChanges...)
		}
		if strings.Join(seen, " ") != "static number" && strings.Join(seen, " ") != "number static" {
			t.Error(seen)
		}
		p.Shutdown()
	})
}

// answers is a server that says how it is.
type answers func(n int, r *http.Request) (status int, header http.Header)

type roundTrip struct {
	mu sync.Mutex
	at []time.Time
	f  answers
}

func (r *roundTrip) RoundTrip(request *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = append(r.at, time.Now())
	status, header := r.f(len(r.at), request)
	if status == 0 {
		return nil, errGone
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: header, Body: http.NoBody}, nil
}

// Batches go when they are full or old enough; a server that asks for time gets it, from a flush too.
func TestWhenEventsAreSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trip := &roundTrip{f: func(n int, _ *http.Request) (int, http.Header) {
			switch n {
			case 3:
				return http.StatusTooManyRequests, http.Header{"Retry-After": {"30"}}
			case 5:
				return 0, nil
			}
			return http.StatusOK, nil
		}}
		p, _ := scripted(t, Options{Events: "http://127.0.0.1:1", HTTPClient: &http.Client{Transport: trip}}, func(_ int, ctx context.Context, got func(*served)) error {
			got(flags(t, shop))
			<-ctx.Done()
			return ctx.Err()
		})
		if err := p.Init(openfeature.EvaluationContext{}); err != nil {
			t.Fatal(err)
		}
		put := func(n int) {
			for range n {
				p.Track(t.Context(), "did", openfeature.NewEvaluationContext("ann", nil), openfeature.TrackingEventDetails{})
			}
			synctest.Wait()
		}
		begun := time.Now()
		put(1)
		time.Sleep(2 * time.Second) // sent after 1 s
		put(batchSize)              // sent at once
		put(1)
		time.Sleep(2 * time.Second) // refused after 1 s, for 30
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		put(1)
		if err := p.Flush(t.Context()); err != nil { // fails, and is tried again after a pause
			t.Fatal(err)
		}
		p.Shutdown()
		want := []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 33 * time.Second, 33 * time.Second, 33*time.Second + firstPause}
		if len(trip.at) != len(want) {
			t.Fatalf("%d requests, expected %d", len(trip.at), len(want))
		}
		for i, at := range trip.at {
			if at.Sub(begun) != want[i] {
				t.Errorf("request %d after %v, expected %v", i, at.Sub(begun), want[i])
			}
		}
	})
}

// The SDK shuts providers down without a time limit; a server that is gone holds no program up.
func TestShutdownEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trip := &roundTrip{f: func(int, *http.Request) (int, http.Header) { return 0, nil }}
		p, _ := scripted(t, Options{Events: "http://127.0.0.1:1", HTTPClient: &http.Client{Transport: trip}}, func(_ int, ctx context.Context, got func(*served)) error {
			got(flags(t, shop))
			<-ctx.Done()
			return ctx.Err()
		})
		if err := p.Init(openfeature.EvaluationContext{}); err != nil {
			t.Fatal(err)
		}
		p.Track(t.Context(), "did", openfeature.NewEvaluationContext("ann", nil), openfeature.TrackingEventDetails{})
		begun := time.Now()
		err := p.ShutdownWithContext(context.Background())
		if took := time.Since(begun); err == nil || !strings.Contains(err.Error(), "1 events were not sent") || took != farewell {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// The same exposure is told once a minute.
func TestRecent(t *testing.T) {
	var r recent
	now := time.Unix(1000, 0)
	for i, c := range []struct {
		after time.Duration
		user  string
		first bool
	}{{0, "ann", true}, {time.Second, "ann", false}, {time.Second, "bob", true}, {59 * time.Second, "ann", false}, {time.Minute, "ann", true}, {61 * time.Second, "ann", false}} {
		if got := r.first(now.Add(c.after), c.user, "flag", "on"); got != c.first {
			t.Errorf("%d: %v", i, got)
		}
	}
	if !r.first(now.Add(time.Minute), "an", "nflag", "on") {
		t.Error("texts run into each other")
	}
}
