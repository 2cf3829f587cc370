package app

import (
	"context"
	"time"

	"github.com/ringfence/ringfence/internal/calendar"
	"github.com/ringfence/ringfence/internal/check"
	"github.com/ringfence/ringfence/internal/controller"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/tsdb"
)

// counting fits the metrics to the controller.
type counting struct{ *tsdb.DB }

func (c counting) Counts(ctx context.Context, service, canary, stable, over string, from, to time.Time) ([]health.Sample, []time.Time, error) {
	return c.DB.Counts(ctx, tsdb.CountsQuery{Service: service, Canary: canary, Stable: stable, Over: over, From: from, To: to})
}

// windows fits the calendar to the controller.
type windows struct{}

func (windows) Active(w resource.Window, now time.Time) (time.Time, bool) {
	return calendar.Active(w, now)
}

func (windows) Covered(w resource.Window, from, to time.Time) bool {
	return calendar.Covered(w, from, to)
}

func (windows) Next(w resource.Window, now time.Time) (start, end time.Time, ok bool) {
	return calendar.Next(w, now)
}

// checking fits what is asked outside to the controller.
type checking struct {
	pool   *check.Pool
	server *server // for its probes
}

func (c checking) Ask(key string, every time.Duration, q controller.Question) {
	c.pool.Ask(key, every, check.Request{Known: c.known(q), Kind: q.Gate.Signal, Gate: q.Gate.Name, Webhook: q.Gate.Webhook, Command: q.Gate.CommandRun, Probe: q.Gate.Probe,
		Vars: q.Vars, Instances: q.Instances})
}

// known is the answer to a gate whose Probe looks anyway; nil for others.
func (c checking) known(q controller.Question) func() health.Reading {
	if q.Gate.Signal == health.SignalAlerts {
		return func() health.Reading { return c.server.judgedByAlerts(q.Vars) }
	}
	if q.Gate.Probe == nil || q.Gate.Probe.Name == "" {
		return nil
	}
	return func() health.Reading { return c.server.probes.judged(*q.Gate.Probe, q.Vars) }
}

func (c checking) Take(key string) []controller.Answer {
	var all []controller.Answer
	for _, t := range c.pool.Take(key, time.Now()) {
		all = append(all, controller.Answer{At: t.At, Reading: t.Reading})
	}
	return all
}

func (c checking) Forget(prefix string) { c.pool.Forget(prefix) }
