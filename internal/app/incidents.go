package app

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/account"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/responder"
	"github.com/ringfence/ringfence/internal/switchboard"
	"github.com/ringfence/ringfence/internal/tsdb"
)

// respond makes what keeps incidents, and lets pages come to it; address is where this process answers.
func (s *server) respond(address string, l net.Listener) *responder.Responder {
	r := responder.New(responder.Options{
		Store: s.store, Catalog: s.catalog, Rollouts: s.controller, Flags: switching{s.board}, Metrics: counters{s.metrics}, LastGood: s.lastGood,
		Signals: s.crashes, Customers: s.suffering, Known: s.known, Changed: s.store.Changed, Scrape: s.Scrape, Every: 10 * s.Step, Link: linkTo(s.URL, address, l.Addr()), Logger: s.Logger,
	})
	s.pager.Pages = r
	return r
}

// switching lets flags be switched off.
type switching struct{ *switchboard.Board }

func (b switching) Off(ctx context.Context, actor string, s flag.Subject, reason string, now time.Time) error {
	_, err := b.Board.Off(ctx, actor, s, reason, now)
	return err
}

// counters fit the metrics to the responder.
type counters struct{ *tsdb.DB }

func (c counters) QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]responder.Line, error) {
	lines, err := c.DB.QueryRange(ctx, expr, from, to, step)
	out := make([]responder.Line, len(lines))
	for i, l := range lines {
		out[i] = responder.Line(l)
	}
	return out, err
}

// manyRestarts is how often an instance is started again until it is called a crash loop.
const manyRestarts = 3

// crashes are the instances of a service that end over and over and are not ready now.
func (s *server) crashes(_ context.Context, service string) []incident.Signal {
	var all []incident.Signal
	for _, o := range s.hub.Units() {
		for _, st := range o.Services {
			for _, slot := range st.Slots {
				for _, in := range slot.Instances {
					if st.Name == service && !in.Ready && in.Restarts >= manyRestarts {
						all = append(all, incident.Signal{Kind: incident.Crash, Service: service, Version: slot.Version, Subject: in.ID,
							Text: fmt.Sprintf("instance %s was started again %d times; it ended with %s", in.ID, in.Restarts, in.LastExit)})
					}
				}
			}
		}
	}
	return all
}

// suffering are the customers of a service that fared worse than everybody else in their bad minutes.
func (s *server) suffering(ctx context.Context, service string, from, to time.Time) []incident.Signal {
	some, err := s.clientele.Suffered(ctx, service, from, to)
	if err != nil {
		s.Logger.Warn("accounts cannot be read for a cause", "service", service, "err", err)
	}
	var all []incident.Signal
	for _, c := range some {
		tally := func(t account.Tally) incident.Tally {
			return incident.Tally{Requests: float64(t.Requests), Bad: float64(t.Bad)}
		}
		all = append(all, incident.Signal{Kind: incident.Customer, Service: service, Subject: c.Account, Version: c.Version(), Own: tally(c.Own), All: tally(c.All), Counted: true,
			Text: fmt.Sprintf("%d of its minutes were bad since %s", c.Minutes, c.Since.Format("15:04"))})
	}
	return all
}

// known are the names of those who may sign in.
func (s *server) known(ctx context.Context) (map[string]bool, error) {
	list, err := access.Tokens{Store: s.store}.List(ctx)
	names := map[string]bool{}
	for _, t := range list {
		names[t.Name] = true
	}
	return names, err
}
