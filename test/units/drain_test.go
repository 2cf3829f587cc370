package units

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/upkeep"
)

// Two machines stand behind a load balancer that looks where each says whether it is ready. Each is taken out for maintenance and comes
// back while users go on: not one request is lost, whatever its method, on connections that were kept.
func TestAUnitIsDrainedUnderTraffic(t *testing.T) {
	t.Parallel()
	r := start(t, twoUnits, "a", "b")
	first := r.release(wire.Release{Version: "v1"}, "shop-v1")
	r.ends(first.ID, rollout.Succeeded)
	b := r.balance("a", "b")

	b.enough("a", "b")
	for _, turn := range []struct{ drained, other string }{{"a", "b"}, {"b", "a"}} {
		if _, err := r.client.RestUnit(r.Context(), turn.drained, "drain", wire.Maintenance{Reason: "new kernel", Wait: "2s"}); err != nil {
			t.Fatal(err)
		}
		r.unitIs(turn.drained, "resting")
		if status, _ := r.get(turn.drained, "u1", "/.ringfence/ready"); status != http.StatusServiceUnavailable {
			t.Errorf("%s is drained and says %d to load balancers", turn.drained, status)
		}
		r.runs(map[string]string{turn.drained: ""})
		was := b.asked[turn.drained].Load()
		b.enough(turn.other)
		if now := b.asked[turn.drained].Load(); now != was {
			t.Errorf("%s is drained and was asked %d times more", turn.drained, now-was)
		}
		if _, err := r.client.RestUnit(r.Context(), turn.other, "drain", wire.Maintenance{Reason: "both at once"}); err == nil {
			t.Errorf("%s may be drained, though it alone serves", turn.other)
		}
		if _, err := r.client.ReturnUnit(r.Context(), turn.drained, "done"); err != nil {
			t.Fatal(err)
		}
		r.unitIs(turn.drained, "serving")
		b.enough("a", "b")
	}
	if lost := b.stop(); len(lost) > 0 {
		t.Errorf("%d requests were lost, the first: %v", len(lost), lost[0])
	}
	t.Logf("%d requests at a, %d at b", b.asked["a"].Load(), b.asked["b"].Load())
}

// balancer sends users to the gateways that say they are ready.
type balancer struct {
	*rig
	units []string
	ready map[string]*atomic.Bool
	asked map[string]*atomic.Int64
	end   context.CancelFunc
	done  sync.WaitGroup
	mu    sync.Mutex
	lost  []error
}

func (r *rig) balance(units ...string) *balancer {
	b := &balancer{rig: r, units: units, ready: map[string]*atomic.Bool{}, asked: map[string]*atomic.Int64{}}
	ctx, end := context.WithCancel(context.Background())
	b.end = end
	for _, unit := range units {
		b.ready[unit], b.asked[unit] = new(atomic.Bool), new(atomic.Int64)
		b.ready[unit].Store(true)
		b.done.Go(func() { b.look(ctx, unit) })
	}
	for i := range 8 {
		b.done.Go(func() { b.visit(ctx, i) })
	}
	r.Cleanup(func() { b.stop() })
	return b
}

// look asks a gateway, as load balancers do, whether it shall get users.
func (b *balancer) look(ctx context.Context, unit string) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			status, _, err := fetch(ctx, "http://"+b.gateways[unit]+"/.ringfence/ready", "u1")
			b.ready[unit].Store(err == nil && status == http.StatusOK)
		}
	}
}

// visit is a user who keeps their connections and never tries again.
func (b *balancer) visit(ctx context.Context, i int) {
	t := &http.Transport{MaxIdleConnsPerHost: 4}
	defer t.CloseIdleConnections()
	for n := 0; ctx.Err() == nil; n++ {
		unit := b.units[(i+n)%len(b.units)]
		if !b.ready[unit].Load() {
			unit = b.units[(i+n+1)%len(b.units)]
		}
		err := b.ask(t, unit, n%3 == 0)
		b.asked[unit].Add(1)
		if err != nil {
			b.mu.Lock()
			b.lost = append(b.lost, fmt.Errorf("unit %s: %w", unit, err))
			b.mu.Unlock()
		}
		select { // as fast as eight people can be, not as the machine can
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (b *balancer) ask(t *http.Transport, unit string, post bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	method, body := http.MethodGet, io.Reader(nil)
	if post {
		method, body = http.MethodPost, io.NopCloser(bytes.NewReader([]byte("sku=1"))) // which the transport cannot send twice
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+b.gateways[unit]+"/", body)
	if err != nil {
		return err
	}
	req.Host = "shop.localhost"
	req.Header.Set("X-User-ID", "u1")
	resp, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if said := resp.Header.Get("Proxy-Status"); said != "" || resp.StatusCode >= 500 {
		return errors.New(resp.Status + " " + said)
	}
	return nil
}

// enough waits until more was asked of units.
func (b *balancer) enough(units ...string) {
	b.Helper()
	for _, unit := range units {
		was := b.asked[unit].Load()
		b.await("requests at "+unit, func() error {
			if n := b.asked[unit].Load() - was; n < 50 {
				return fmt.Errorf("%d", n)
			}
			return nil
		})
	}
}

// stop ends the users and returns what they lost.
func (b *balancer) stop() []error {
	b.end()
	b.done.Wait()
	return b.lost
}

func (r *rig) unitIs(name, state string) {
	r.Helper()
	r.await(name+" is "+state, func() error {
		all, err := r.client.Units(r.Context())
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(u upkeep.Unit) bool { return u.Name == name })
		if i < 0 || all[i].State != state {
			return fmt.Errorf("%+v", all)
		}
		return nil
	})
}
