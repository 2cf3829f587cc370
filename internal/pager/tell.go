package pager

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// The types of events of what people were told.
const (
	EvNotified    = "alert.notified"
	EvUndelivered = "alert.undelivered"
)

const (
	leaseSlack  = 5 * time.Second
	firstPause  = 5 * time.Second
	longPause   = 5 * time.Minute
	lastWrite   = 3 * time.Second
	atOnce      = 8 // groups that are told at the same time
	innerTime   = 20 * time.Second
	mostRefused = 3 // attempts at what the receiver says it will never take
)

// Sender tells one notifier of a page, once. Errors: errs.Invalid when the receiver will never take it, whatever else is tried
// again; texts hold no secrets.
type Sender interface {
	Tell(ctx context.Context, to resource.Notifier, n alert.Notice) error
}

// Notified is the data of EvNotified and EvUndelivered.
type Notified struct {
	Key     string            `json:"key"`
	Labels  map[string]string `json:"labels"`
	Service string            `json:"service,omitempty"`
	To      []string          `json:"to,omitempty" doc:"who was told"`
	Reason  alert.Reason      `json:"reason"`
	Status  alert.Status      `json:"status"`
	Alerts  []string          `json:"alerts" doc:"names of those that fire, or did"`
	IDs     []string          `json:"ids"`
	Error   string            `json:"error,omitempty"`
}

// errand is what is to be told of one group now.
type errand struct {
	group  alert.Group
	ledger Ledger
	to     map[string]alert.Reason
	unsure map[string]bool
}

// errands finds what is to be told now. The lock is held.
func (p *Pager) errands(pl plan, groups []alert.Group, ledgers map[string]Ledger, now time.Time) []errand {
	var all []errand
	for _, g := range groups {
		l, there := ledgers[g.ID]
		delete(ledgers, g.ID)
		if !there {
			l = Ledger{Key: g.Key, Labels: g.Labels, Told: map[string]alert.Told{}, id: g.ID}
		}
		if p.busy(g.ID, l, now) {
			continue
		}
		e := errand{group: g, ledger: l, to: map[string]alert.Reason{}, unsure: map[string]bool{}}
		if l.Claim != nil { // who claimed it is no more: some of those may have been told
			for _, name := range l.Claim.To {
				e.unsure[name] = true
			}
		}
		p.due(pl, &e, now)
		if len(e.to) > 0 {
			all = append(all, e)
		}
	}
	return all
}

// busy says whether somebody tells of a group now.
func (p *Pager) busy(id string, l Ledger, now time.Time) bool {
	if p.telling[id] {
		return true
	}
	c := l.Claim
	if c == nil || c.By == p.Process { // a claim of this process that is not being worked on could not be written down
		return false
	}
	if p.foreign[id] != (sight{l.rev, p.foreign[id].since}) {
		p.foreign[id] = sight{l.rev, now}
	}
	return now.Sub(p.foreign[id].since) < c.Lease.D(0)+leaseSlack // by the clock of this process: clocks of others do not matter
}

// sight is since when another one's claim is seen.
type sight struct {
	rev   int64
	since time.Time
}

// due finds who is to be told, and why.
func (p *Pager) due(pl plan, e *errand, now time.Time) {
	g, l := e.group, e.ledger
	acked := g.Acked(now)
	opened := len(g.Firing) == 0 || !now.Before(g.Opens()) || l.told()
	if !opened {
		return
	}
	if t := l.Told[inner]; p.Pages != nil && g.First && grave(g) && !now.Before(t.Next) {
		if why := t.Change(g, acked, now); why != alert.Not {
			e.to[inner] = why
		}
	}
	if g.Route.ID == "heartbeat" && slices.ContainsFunc(g.Firing, func(r alert.Record) bool { return r.Unheard }) {
		return // nothing is heard of it, and so nothing is told
	}
	flush := l.Flushed.IsZero() || now.Sub(l.Flushed) >= g.Route.Interval
	for _, name := range pl.receivers(g, l.Told) {
		t := l.Told[name]
		why := t.News(g, acked, g.Route.Repeat, now)
		retry := t.Attempts > 0 || e.unsure[name]
		if why == alert.Not || now.Before(t.Next) || !flush && !retry && why != alert.Begins {
			continue
		}
		if to := pl.specs[name].To.Alertmanager; to != nil && to.NoResolved && (why == alert.Shrinks || why == alert.Ends) {
			l.Told[name] = t.Took(g, acked, now) // nothing is to be told; it is written down with the next
			continue
		}
		e.to[name] = why
	}
}

// grave says whether a group is for those who take pages further: what is only information, and the heartbeat, are not.
func grave(g alert.Group) bool {
	return g.Route.ID != "heartbeat" && (len(g.Firing) == 0 || slices.ContainsFunc(g.Firing, func(r alert.Record) bool { return alert.Rank(r.Labels[alert.Severity]) > 1 }))
}

// tell claims a group, tells of it, and writes down what became of it.
func (p *Pager) tell(ctx context.Context, pl plan, e errand, now time.Time) error {
	names := slices.Sorted(maps.Keys(e.to))
	lease := innerTime
	for _, name := range names {
		lease = max(lease, pl.specs[name].Timeout.D(0))
	}
	l := e.ledger
	l.Claim = &Claim{By: p.Process, Since: now, Lease: fleet.Dur(lease), To: names}
	l, err := p.save(ctx, l, store.Write{})
	if err != nil {
		return err // another one was faster, or it cannot be written: nothing was told
	}
	page := e.group.Page(l.Last, now)
	errsOf := make([]error, len(names))
	var wait sync.WaitGroup
	for i, name := range names {
		wait.Go(func() { errsOf[i] = p.tellOne(ctx, pl, e, page, name, lease) })
	}
	wait.Wait()
	return p.note(ctx, e, l, page, names, errsOf)
}

func (p *Pager) tellOne(ctx context.Context, pl plan, e errand, page alert.Page, name string, lease time.Duration) error {
	if name == inner {
		ctx, cancel := context.WithTimeout(ctx, innerTime)
		defer cancel()
		p.paging.Lock()
		defer p.paging.Unlock()
		return p.Pages.Page(ctx, page)
	}
	ctx, cancel := context.WithTimeout(ctx, lease)
	defer cancel()
	n := alert.Notice{ID: fmt.Sprintf("%s.%d.%s", e.group.ID, e.ledger.Told[name].At.UnixMilli(), name), Receiver: name, GroupKey: e.group.Key, GroupLabels: e.group.Labels, Reason: e.to[name],
		Repeat: e.unsure[name], Page: page, Source: p.Link}
	if page.Status == alert.Firing {
		for _, r := range e.group.Ended {
			n.Ended = append(n.Ended, r.Alert)
		}
	}
	if p.Link != "" {
		n.Link = p.Link + "/alerts/" + e.group.ID
	}
	return p.Sender.Tell(ctx, pl.specs[name], n)
}

// note writes down what became of an errand, however long that takes; what was told is not told again by this process.
func (p *Pager) note(ctx context.Context, e errand, l Ledger, page alert.Page, names []string, results []error) error {
	now := p.now()
	l.Claim = nil
	l.Told = maps.Clone(l.Told)
	var taken []string
	why := alert.Not
	var w store.Write
	for i, name := range names {
		t := l.Told[name]
		if results[i] == nil {
			l.Told[name] = t.Took(e.group, e.group.Acked(now), now)
			if name != inner {
				taken, why = append(taken, name), e.to[name]
			}
			continue
		}
		t = failed(t, results[i], now)
		if errs.Is(results[i], errs.Invalid) && t.Attempts >= mostRefused && name != inner {
			ev, err := p.event(EvUndelivered, e, page, []string{name}, e.to[name], results[i])
			if err != nil {
				return err
			}
			w.Events = append(w.Events, ev)
			t = t.Took(e.group, e.group.Acked(now), now)
			t.Error = results[i].Error()
		}
		l.Told[name] = t
	}
	if len(taken) > 0 && e.group.Route.ID != "heartbeat" {
		ev, err := p.event(EvNotified, e, page, taken, why, nil)
		if err != nil {
			return err
		}
		w.Events = append(w.Events, ev)
	}
	if len(taken) > 0 {
		l.Flushed = now
	}
	l.Service, l.Labels, l.Key = page.Service, e.group.Labels, e.group.Key
	l.Last = sum(e.ledger, e.group)
	write, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
	defer cancel()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		_, err := p.save(write, l, w)
		if err == nil || errs.Is(err, errs.Conflict) {
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		if !sleep(ctx, pause) {
			continue // one more, within lastWrite
		}
		write, cancel = context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
		defer cancel()
	}
}

// mostSummed is how many alerts of one page are kept for its end.
const mostSummed = 500

// sum is all that fired since the page began, for the message that it is over.
func sum(l Ledger, g alert.Group) []alert.Alert {
	var all []alert.Alert
	if l.told() {
		all = slices.Clone(l.Last)
	}
	for _, r := range g.Firing {
		at := slices.IndexFunc(all, func(a alert.Alert) bool { return maps.Equal(a.Labels, r.Labels) })
		if at >= 0 {
			all[at] = r.Alert
		} else if len(all) < mostSummed {
			all = append(all, r.Alert)
		}
	}
	return all
}

func failed(t alert.Told, err error, now time.Time) alert.Told {
	t.Attempts++
	if t.Failing.IsZero() {
		t.Failing = now
	}
	pause := longPause
	if t.Attempts < 8 {
		pause = min(longPause, firstPause<<(t.Attempts-1))
	}
	var later interface{ Later() time.Duration }
	if errors.As(err, &later) {
		pause = max(pause, later.Later())
	}
	t.Next, t.Error = now.Add(pause), err.Error()
	return t
}

func (p *Pager) event(typ string, e errand, page alert.Page, to []string, why alert.Reason, because error) (audit.Event, error) {
	n := Notified{Key: e.group.ID, Labels: e.group.Labels, Service: page.Service, To: to, Reason: why, Status: page.Status}
	for _, a := range page.Alerts {
		n.Alerts = append(n.Alerts, a.Labels[alert.Name])
	}
	for _, r := range slices.Concat(e.group.Firing) {
		n.IDs = append(n.IDs, r.ID)
	}
	if because != nil {
		n.Error = because.Error()
	}
	return audit.New(p.now(), typ, Actor, "page/"+e.group.ID, n)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
