package ui_test

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// signals listens to a topic.
func (b *browser) signals(topic string) <-chan string {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+"/ui/live?topic="+url.QueryEscape(topic), nil)
	must(b.t, err)
	client := *b.http
	client.Timeout = 0
	res, err := client.Do(req)
	must(b.t, err)
	if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || got != "text/event-stream" {
		b.t.Fatalf("%s, %s", res.Status, got)
	}
	out := make(chan string, 100)
	go func() {
		defer close(out)
		defer res.Body.Close()
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				out <- name
			}
		}
	}()
	b.t.Cleanup(cancel)
	return out
}

// within says how many signals come before the time is over, or as soon as there are enough.
func within(d time.Duration, signals <-chan string, enough int) int {
	end := time.After(d)
	for n := 0; ; {
		select {
		case _, open := <-signals:
			if n++; !open || n == enough {
				return n
			}
		case <-end:
			return n
		}
	}
}

func TestPagesAreToldOfWhatHappens(t *testing.T) {
	w := start(t)
	b := w.as(policy.Viewer)
	all, this, other := b.signals("all"), b.signals("rollout/shop-1"), b.signals("service/shop")
	note := func(subject string) {
		e, err := audit.New(time.Now(), "test.noted", "user:test", subject, nil)
		must(t, err)
		_, err = w.Store.Commit(t.Context(), store.Write{Events: []audit.Event{e}})
		must(t, err)
	}
	for range 20 { // in a burst
		note("thing/x")
	}
	if n := within(700*time.Millisecond, all, 21); n < 1 || n > 4 {
		t.Errorf("20 events at once gave %d signals, expected a few", n)
	}
	if n := within(time.Millisecond, this, 1); n != 0 {
		t.Error("a rollout’s page was told of something else")
	}
	note("rollout/shop-1")
	if within(5*time.Second, this, 1) != 1 || within(5*time.Second, other, 1) != 1 {
		t.Error("a rollout’s event reached not all of its pages")
	}
}

// While a rollout is in flight its numbers move without events.
func TestARolloutInFlightIsShownEverySecond(t *testing.T) {
	w := start(t)
	w.release("v2")
	b := w.as(policy.Admin)
	moving := b.signals("rollout/shop-2")
	began := time.Now()
	if n := within(10*time.Second, moving, 3); n != 3 || time.Since(began) < 1500*time.Millisecond {
		t.Errorf("%d signals in %s, expected one each second", n, time.Since(began))
	}
	_, err := w.Admin.Command(t.Context(), "shop-2", rollout.Abort, "")
	must(t, err)
	w.until("shop-2", "rolledBack")
}
