package check_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/check"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
)

// world answers after a while, by the host that is asked.
type world struct {
	mu    sync.Mutex
	takes map[string]time.Duration
	busy  map[string]int
	most  map[string]int
	asked []string
}

func newWorld() *world {
	return &world{takes: map[string]time.Duration{}, busy: map[string]int{}, most: map[string]int{}}
}

func (w *world) run(ctx context.Context, req check.Request) health.Reading {
	host := req.Webhook.URL
	w.mu.Lock()
	w.asked = append(w.asked, host)
	for _, n := range []string{host, "all"} {
		w.busy[n]++
		w.most[n] = max(w.most[n], w.busy[n])
	}
	d := w.takes[host]
	w.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy[host]--
	w.busy["all"]--
	return health.Reading{Verdict: health.Pass, Text: host}
}

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked)
}

func of(host string) check.Request {
	return check.Request{Kind: health.SignalWebhook, Webhook: &resource.WebhookGate{URL: "http://" + host}}
}

func TestPoolAsksInItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.takes["http://a"] = 3 * time.Second
		p := check.NewPool(w.run)
		defer p.Close()
		began := time.Now()
		var got []time.Duration
		for range 60 {
			p.Ask("shop-7/smoke", 10*time.Second, of("a"))
			for _, r := range p.Take("shop-7/smoke", time.Now()) {
				if r.Reading.Verdict != health.Pass {
					t.Errorf("got %+v", r)
				}
				got = append(got, r.At.Sub(began))
			}
			time.Sleep(time.Second)
		}
		want := []time.Duration{3 * time.Second, 13 * time.Second, 23 * time.Second, 33 * time.Second, 43 * time.Second, 53 * time.Second}
		if !slices.Equal(got, want) {
			t.Errorf("answered at %v, expected %v", got, want)
		}
	})
}

func TestPoolWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.takes["http://hangs"] = time.Hour
		p := check.NewPool(w.run)
		defer p.Close()
		began := time.Now()
		for i := range 1000 {
			p.Ask(fmt.Sprintf("hung-%d", i), time.Second, of("hangs"))
		}
		p.Ask("well", time.Minute, of("well"))
		if time.Since(began) != 0 {
			t.Errorf("asking took %v", time.Since(began))
		}
		synctest.Wait()
		if got := p.Take("well", time.Now()); len(got) != 1 || got[0].Reading.Text != "http://well" {
			t.Errorf("behind one that hangs: %v", got)
		}
		if got := p.Take("hung-0", time.Now()); got != nil {
			t.Errorf("one that hangs answered %v", got)
		}
		if w.most["http://hangs"] != 4 {
			t.Errorf("%d questions to one host at once", w.most["http://hangs"])
		}
		p.Forget("hung-")
		synctest.Wait()
		if w.most["http://hangs"] != 4 || w.busy["all"] != 0 || w.count() != 5 {
			t.Errorf("after all are forgotten %d are under way, %d were asked", w.busy["all"], w.count())
		}
	})
}

func TestPoolHasBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		p := check.NewPool(w.run)
		defer p.Close()
		for i := range 500 {
			host := fmt.Sprintf("h%d", i%50)
			w.mu.Lock()
			w.takes["http://"+host] = time.Second
			w.mu.Unlock()
			p.Ask(fmt.Sprintf("k-%d", i), time.Hour, of(host))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if w.most["all"] != 32 || w.count() != 500 {
			t.Errorf("%d at once, %d of 500 asked", w.most["all"], w.count())
		}
		for i := range 500 {
			if got := p.Take(fmt.Sprintf("k-%d", i), time.Now()); len(got) != 1 {
				t.Errorf("k-%d has %d readings", i, len(got))
			}
		}
		for range 300 {
			p.Ask("untaken", time.Second, of("h1"))
			time.Sleep(2 * time.Second)
		}
		if got := p.Take("untaken", time.Now()); len(got) != 100 || time.Since(got[99].At) > 3*time.Second {
			t.Errorf("%d readings that nobody took, the last of %v", len(got), got[len(got)-1].At)
		}
	})
}

func TestPoolTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		p := check.NewPool(w.run)
		defer p.Close()
		p.Ask("a", time.Second, of("a"))
		synctest.Wait()
		if got := p.Take("a", time.Now().Add(-time.Second)); got != nil {
			t.Errorf("before it was there: %v", got)
		}
		if got := p.Take("a", time.Now()); len(got) != 1 {
			t.Errorf("got %v", got)
		}
		if got := p.Take("a", time.Now().Add(time.Hour)); got != nil {
			t.Errorf("twice: %v", got)
		}
		if got := p.Take("b", time.Now()); got != nil {
			t.Errorf("never asked: %v", got)
		}
		p.Ask("a", time.Second, of("a")) // too soon
		synctest.Wait()
		if w.count() != 1 {
			t.Errorf("asked %d times", w.count())
		}
		p.Forget("")
		p.Ask("a", time.Second, of("b")) // new again
		synctest.Wait()
		if got := p.Take("a", time.Now()); len(got) != 1 || got[0].Reading.Text != "http://b" {
			t.Errorf("after it was forgotten: %v", got)
		}
	})
}

// A reading that was under way when its key was forgotten belongs to nobody.
func TestPoolForgetsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.takes["http://slow"] = time.Minute
		p := check.NewPool(w.run)
		p.Ask("shop-7/slow", time.Hour, of("slow"))
		p.Ask("blog-1/slow", time.Hour, of("slow"))
		synctest.Wait()
		p.Forget("shop-7/")
		synctest.Wait()
		if w.busy["all"] != 1 {
			t.Errorf("%d are under way", w.busy["all"])
		}
		p.Ask("shop-7/slow", time.Hour, of("well"))
		time.Sleep(2 * time.Minute)
		if got := p.Take("shop-7/slow", time.Now()); len(got) != 1 || got[0].Reading.Text != "http://well" {
			t.Errorf("got %v", got)
		}
		if got := p.Take("blog-1/slow", time.Now()); len(got) != 1 {
			t.Errorf("the other got %v", got)
		}
		p.Ask("last", time.Hour, of("slow"))
		synctest.Wait()
		began := time.Now()
		p.Close()
		p.Ask("late", time.Hour, of("a"))
		if time.Since(began) != 0 || w.busy["all"] != 0 || w.count() != 4 {
			t.Errorf("closing took %v, %d are under way, %d were asked", time.Since(began), w.busy["all"], w.count())
		}
	})
}
