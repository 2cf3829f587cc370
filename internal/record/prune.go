package record

import (
	"context"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/store"
)

// pruneSteps bounds what one transaction removes, pruneRounds what one round does.
const (
	pruneStep   = 5000
	pruneRounds = 20
)

// prune removes the content of events that were kept as long as they had to be. Their hashes stay, and so does what is proved of them.
func (l *Ledger) prune(ctx context.Context) error {
	if l.Keep <= 0 {
		return nil
	}
	before := l.Now().Add(-l.Keep).UTC()
	for range pruneRounds {
		through, err := l.oldest(ctx, before)
		if err != nil || through == 0 {
			return err
		}
		e, err := audit.New(l.Now(), audit.EventPruned, actor, "record/events", audit.Pruned{Through: through, Before: before,
			Reason: "kept for " + l.Keep.Round(time.Second).String()})
		if err != nil {
			return err
		}
		if _, err := l.Store.Commit(ctx, store.Write{Events: []audit.Event{e}, Forget: through}); err != nil {
			return err
		}
	}
	return nil
}

// oldest is the last event of the next step, 0 when nothing is old enough. It stops before the first event that is younger: numbers
// follow time but for clocks that were set.
func (l *Ledger) oldest(ctx context.Context, before time.Time) (int64, error) {
	events, err := l.Store.Events(ctx, store.EventQuery{Limit: pruneStep})
	if err != nil {
		return 0, err
	}
	through := int64(0)
	for _, e := range events {
		if !e.Time.Before(before) {
			break
		}
		through = e.Seq
	}
	return through, nil
}
