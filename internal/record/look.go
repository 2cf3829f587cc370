package record

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// Finding is something that is wrong with the record.
type Finding struct {
	What string `json:"what" enum:"checkpoint,event,tree,shipped" doc:"a checkpoint that is not continued, an event that does not fit, a tree that is not that of the events, something shipped that cannot be read"`
	Seq  int64  `json:"seq,omitempty" doc:"the first event that is not what it was, where that can be told"`
	Size int64  `json:"size,omitempty" doc:"how many events the checkpoint covers"`
	Root string `json:"root,omitempty"`
	From string `json:"from,omitempty" doc:"where the checkpoint was shipped to"`
	Why  string `json:"why"`
}

func (f Finding) key() string { return fmt.Sprint(f.What, "|", f.Seq, "|", f.Size, "|", f.Root) }

// walkEvery is how often every event is read and checked; what was shipped is compared in every round.
const walkEvery = time.Hour

// Look compares the record with what was shipped, and from time to time reads all of it. What is wrong is recorded once, and told while
// it is so.
func (l *Ledger) Look(ctx context.Context) ([]Finding, error) {
	wrong, err := l.compare(ctx)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	due := l.walked.IsZero() || l.Now().Sub(l.walked) >= walkEvery
	l.mu.Unlock()
	if due {
		f, err := l.Walk(ctx)
		if err != nil {
			return nil, err
		}
		if f != nil {
			wrong = append(wrong, *f)
		}
		l.mu.Lock()
		if f == nil {
			l.walked = l.Now() // what is wrong is looked at again in the next round
		}
		l.mu.Unlock()
	}
	return wrong, l.tell(ctx, wrong)
}

// Wrong is what the last look found.
func (l *Ledger) Wrong() []Finding {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.wrong)
}

func (l *Ledger) tell(ctx context.Context, wrong []Finding) error {
	l.mu.Lock()
	l.wrong = wrong
	var fresh []Finding
	for _, f := range wrong {
		if !l.known[f.key()] {
			fresh = append(fresh, f)
		}
	}
	l.mu.Unlock()
	for _, f := range fresh {
		e, err := audit.New(l.Now(), "record.mismatch", actor, subject, f)
		if err != nil {
			return err
		}
		l.Logger.Error("the record is not what it was", "why", f.Why)
		if _, err := l.Store.Commit(ctx, store.Write{Events: []audit.Event{e}}); err != nil {
			l.Logger.Error("that the record is not what it was could not be recorded", "err", err) // the alarm still goes out
			continue
		}
		l.mu.Lock()
		l.known[f.key()] = true
		l.mu.Unlock()
	}
	if l.Alarms == nil {
		return nil
	}
	return l.Alarms.Record(ctx, wrong)
}

// compare looks whether all that was shipped is the beginning of the record.
func (l *Ledger) compare(ctx context.Context) ([]Finding, error) {
	log, err := l.Log(ctx)
	if err != nil {
		return nil, err
	}
	return l.compareAs(ctx, log)
}

func (l *Ledger) judge(ctx context.Context, log Log, head audit.Head, from string, b []byte) *Finding {
	o, err := audit.OpenCheckpoint(b, log.Publics())
	if err != nil {
		return &Finding{What: "shipped", From: from, Why: "a checkpoint that was shipped to " + from + " is not this log's: " + err.Error()}
	}
	root := o.Root.String()
	for _, a := range log.Accepted {
		if a.Size == o.Size && a.Root == root {
			return nil
		}
	}
	if err := l.continues(ctx, head, o.Head); err != nil {
		return &Finding{What: "checkpoint", Size: o.Size, Root: root, From: from, Seq: cutAt(head, o.Head), Why: err.Error()}
	}
	return nil
}

func cutAt(head, before audit.Head) int64 {
	if before.Size > head.Size {
		return head.Size + 1
	}
	return 0
}

// Accept says that shipped checkpoints which the record does not continue are all right: an older backup was restored. What is wrong
// with events themselves cannot be accepted.
func (l *Ledger) Accept(ctx context.Context, who, reason string) (Log, error) {
	wrong, err := l.compare(ctx)
	if err != nil {
		return Log{}, err
	}
	log, rev, err := get[Log](ctx, l, nameLog)
	if err != nil {
		return Log{}, err
	}
	var taken []Accepted
	for len(wrong) > 0 {
		for _, f := range wrong {
			if f.What != "checkpoint" {
				return Log{}, errs.E(errs.Conflict, "%s", f.Why).Next("Move the file away that is not this log's.")
			}
			taken = append(taken, Accepted{Size: f.Size, Root: f.Root, By: who, At: l.Now().UTC(), Reason: reason})
		}
		trial := log
		trial.Accepted = append(slices.Clone(log.Accepted), taken...)
		if wrong, err = l.compareAs(ctx, trial); err != nil {
			return Log{}, err
		}
	}
	if len(taken) == 0 {
		return Log{}, errs.E(errs.Conflict, "the record continues all that was shipped: there is nothing to accept")
	}
	log.Accepted = append(log.Accepted, taken...)
	if err := l.commit(ctx, nameLog, rev, log, "record.accepted", who, map[string]any{"checkpoints": taken, "reason": reason}); err != nil {
		return Log{}, err
	}
	_, err = l.Look(ctx)
	return log, err
}

func (l *Ledger) compareAs(ctx context.Context, log Log) ([]Finding, error) {
	head, err := l.Tree.Tree(ctx)
	if err != nil {
		return nil, err
	}
	var wrong []Finding
	for _, s := range l.Ships {
		shipped, err := s.Shipped(ctx)
		if err != nil {
			return nil, errs.Wrap(errs.Unavailable, err, "read what was shipped to %s", s.Name())
		}
		for _, b := range shipped {
			if f := l.judge(ctx, log, head, s.Name(), b); f != nil {
				wrong = append(wrong, *f)
				break
			}
		}
	}
	return wrong, nil
}

// Walk reads every event and says what is the first that does not fit, nil when all is whole.
func (l *Ledger) Walk(ctx context.Context) (*Finding, error) {
	head, err := l.Tree.Tree(ctx)
	if err != nil {
		return nil, err
	}
	var chain audit.Chain
	var tree audit.Tree
	for tree.Size < head.Size {
		events, err := l.Store.Events(ctx, store.EventQuery{After: tree.Size, Limit: int(min(1000, head.Size-tree.Size)), Removed: true})
		if err != nil {
			return nil, err
		}
		if len(events) == 0 {
			return &Finding{What: "event", Seq: tree.Size + 1, Why: fmt.Sprintf("event %d: is missing", tree.Size+1)}, nil
		}
		for _, e := range events {
			err := chain.Add(e)
			var leaf audit.Hash
			if err == nil {
				leaf, err = audit.Leaf(e.Hash)
			}
			if err != nil {
				return found(err, tree.Size+1), nil
			}
			tree.Append(leaf)
		}
	}
	if err := l.ended(ctx, &chain); err != nil {
		return found(err, tree.Size), nil
	}
	if tree.Root() != head.Root {
		return &Finding{What: "tree", Size: head.Size, Why: "the events do not lead to the hash that their tree has"}, nil
	}
	return nil, nil
}

// ended looks further than the tree's size was at first: content is removed by an event that may have come since.
func (l *Ledger) ended(ctx context.Context, chain *audit.Chain) error {
	err := chain.End()
	if err == nil {
		return nil
	}
	seq, _ := chain.Head()
	later, lerr := l.Store.Events(ctx, store.EventQuery{After: seq, Limit: 1000, Removed: true})
	if lerr != nil {
		return lerr
	}
	for _, e := range later {
		if err := chain.Add(e); err != nil {
			return err
		}
	}
	return chain.End()
}

func found(err error, seq int64) *Finding {
	var b *audit.Bad
	if errors.As(err, &b) {
		seq = b.Seq
	}
	return &Finding{What: "event", Seq: seq, Why: err.Error()}
}
