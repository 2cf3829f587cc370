package pager

import (
	"context"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/store"
)

// Ledger is what was told of a group, and to whom.
type Ledger struct {
	Key     string                `json:"key"`
	Labels  map[string]string     `json:"labels"`
	Service string                `json:"service,omitempty"`
	Flushed time.Time             `json:"flushed,omitzero" doc:"when its changes were last told"`
	Told    map[string]alert.Told `json:"told" doc:"by notifier; of who takes pages further under the empty name"`
	Last    []alert.Alert         `json:"last,omitempty" doc:"all that fired since the page began"`
	Claim   *Claim                `json:"claim,omitempty"`
	rev     int64
	id      string
}

// Claim says that somebody tells of a group now.
type Claim struct {
	By    string    `json:"by"`
	Since time.Time `json:"since"`
	Lease fleet.Dur `json:"lease" doc:"after which it is over, whatever became of it"`
	To    []string  `json:"to" doc:"who is told"`
}

// inner is the name under which a ledger keeps what those were told that take pages further.
const inner = ""

func (p *Pager) ledgers(ctx context.Context) (map[string]Ledger, error) {
	all := map[string]Ledger{}
	err := list(ctx, p.Store, KindGroup, func(d store.Doc, l Ledger) {
		l.rev, l.id = d.Rev, d.Name
		if l.Told == nil {
			l.Told = map[string]alert.Told{}
		}
		all[d.Name] = l
	})
	return all, err
}

// save replaces a ledger, with events, when nobody was faster.
func (p *Pager) save(ctx context.Context, l Ledger, w store.Write) (Ledger, error) {
	d, err := put(KindGroup, l.id, l.rev, l)
	if err != nil {
		return l, err
	}
	w.Puts = append(w.Puts, d)
	_, err = p.Store.Commit(ctx, w)
	l.rev++
	return l, err
}

// told says whether somebody knows that it fires.
func (l Ledger) told() bool {
	for _, t := range l.Told {
		if len(t.Firing) > 0 {
			return true
		}
	}
	return false
}

// over says whether nothing is left to be told of a group.
func (l Ledger) over() bool { return !l.told() && l.Claim == nil }
