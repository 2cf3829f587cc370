package track

import (
	"context"
	"database/sql"
	"slices"
	"sync"

	"github.com/ringfence/ringfence/internal/errs"
)

// What one transaction takes at most, so that the first of many waiting requests is not held up by the last.
const (
	maxGroup       = 512
	maxGroupEvents = 20_000
	idsAtOnce      = 100 // looked up by one statement
)

// intake is the queue before the journal.
type intake struct {
	mu      sync.Mutex
	wake    sync.Cond
	waiting []*pending
	events  int // that wait
	trim    int64
	trimmed int64
	closed  bool
}

type pending struct {
	batch Batch
	key   int64   // hash of the batch's key
	ids   []int64 // hashes of the events' ids, nil when none has one
	done  chan struct{}
	taken Taken
	err   error
}

func newPending(b Batch) *pending {
	p := &pending{batch: b, done: make(chan struct{})}
	if b.Key != "" {
		p.key = hashOf(b.Environment, "batch", b.Key)
	}
	for i := range b.Events {
		if id := b.Events[i].ID; id != "" {
			if p.ids == nil {
				p.ids = make([]int64, len(b.Events))
			}
			p.ids[i] = hashOf(b.Environment, "event", id)
		}
	}
	return p
}

// Append takes a batch and returns when it is on disk, or when nothing of it is and never will be. After Unavailable
// the outcome may be unknown: the batch should be sent again under the same key or with the same ids.
func (s *Store) Append(ctx context.Context, b Batch) (Taken, error) {
	now := s.now()
	if err := b.check(now.Add(-s.retention), now.Add(maxAhead)); err != nil {
		return Taken{}, err
	}
	if len(b.Events) == 0 {
		return Taken{}, nil
	}
	if err := s.names.admit(&b); err != nil {
		return Taken{}, err
	}
	p := newPending(b)
	if err := s.enqueue(p); err != nil {
		return Taken{}, err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		if s.withdraw(p) {
			return Taken{}, errs.Wrap(errs.Unavailable, ctx.Err(), "nothing was written")
		}
		<-p.done
	}
	return p.taken, p.err
}

func (s *Store) enqueue(p *pending) error {
	in := &s.intake
	in.mu.Lock()
	defer in.mu.Unlock()
	switch n := len(p.batch.Events); {
	case in.closed:
		return errClosed
	case in.events+n > maxWaiting || s.backlog.Load()+int64(in.events+n) > maxBacklog:
		return ErrBusy
	default:
		in.events += n
	}
	in.waiting = append(in.waiting, p)
	in.wake.Signal()
	return nil
}

func (s *Store) withdraw(p *pending) bool {
	in := &s.intake
	in.mu.Lock()
	defer in.mu.Unlock()
	i := slices.Index(in.waiting, p)
	if i < 0 {
		return false
	}
	in.waiting = slices.Delete(in.waiting, i, i+1)
	in.events -= len(p.batch.Events)
	return true
}

func (s *Store) commitLoop() {
	defer s.done.Done()
	for {
		group, trim, more := s.takeGroup()
		if !more {
			return
		}
		s.commitGroup(group, trim)
		for _, p := range group {
			close(p.done)
		}
	}
}

// takeGroup waits for work: batches, or rows of the journal that are folded and may go.
func (s *Store) takeGroup() (group []*pending, trim int64, more bool) {
	in := &s.intake
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.waiting) == 0 && in.trim == in.trimmed && !in.closed {
		in.wake.Wait()
	}
	if len(in.waiting) == 0 && in.closed {
		return nil, 0, false
	}
	n, events := 0, 0
	for n < len(in.waiting) && n < maxGroup {
		events += len(in.waiting[n].batch.Events)
		if n > 0 && events > maxGroupEvents {
			events -= len(in.waiting[n].batch.Events)
			break
		}
		n++
	}
	group = slices.Clone(in.waiting[:n])
	in.waiting = slices.Delete(in.waiting, 0, n)
	in.events -= events
	if in.trim != in.trimmed {
		in.trimmed = in.trim
		trim = in.trim
	}
	return group, trim, true
}

// trimTo lets the journal's rows up to seq be removed.
func (s *Store) trimTo(seq int64) {
	s.intake.mu.Lock()
	defer s.intake.mu.Unlock()
	s.intake.trim = seq
	s.intake.wake.Signal()
}

// row is what one transaction appends to the journal.
type row struct {
	body   []byte
	events int64
	marks  []mark
	prints map[int64]int64 // of ids that were counted before, or are in this row
}

func (s *Store) commitGroup(group []*pending, trim int64) {
	fail := func(err error) {
		for _, p := range group {
			p.taken, p.err = Taken{}, err
		}
	}
	if s.doubt {
		if err := s.catchUp(context.Background()); err != nil {
			fail(err)
			return
		}
		s.doubt = false
	}
	r := row{body: []byte{journalVersion}, prints: map[int64]int64{}}
	if err := s.counted(group, r.prints); err != nil {
		fail(err)
		return
	}
	for _, p := range group {
		r.add(p)
	}
	if r.events == 0 && trim == 0 {
		return // all were counted before, and are on disk
	}
	seq := s.lastSeq.Load() + 1
	if err := s.write(seq, r, trim); err != nil {
		s.doubt = true
		s.logger.Error("events could not be written", "err", err)
		fail(err)
		return
	}
	if r.events > 0 {
		s.kept(seq, r.events, r.marks)
		if s.backlog.Load() >= foldAt {
			s.folding.nudge()
		}
	}
}

// counted looks up which ids of the group were counted before. Ids move from the journal to events.db, so it looks in that order.
func (s *Store) counted(group []*pending, prints map[int64]int64) error {
	var ask []any
	look := func(hash int64) {
		if print, ok := s.marks.get(hash); ok {
			prints[hash] = print
			return
		}
		ask = append(ask, hash)
	}
	for _, p := range group {
		if p.batch.Key != "" {
			look(p.key)
		}
		for i, hash := range p.ids {
			if p.batch.Events[i].ID != "" {
				look(hash)
			}
		}
	}
	for ; len(ask) > idsAtOnce; ask = ask[idsAtOnce:] {
		if err := s.printsOf(s.known[1], ask[:idsAtOnce], prints); err != nil {
			return err
		}
	}
	for i := range ask {
		if err := s.printsOf(s.known[0], ask[i:i+1], prints); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) printsOf(stmt *sql.Stmt, hashes []any, prints map[int64]int64) error {
	rows, err := stmt.Query(hashes...)
	if err != nil {
		return kindOf(err, "look for events' ids")
	}
	defer rows.Close()
	for rows.Next() {
		var hash, print int64
		if err := rows.Scan(&hash, &print); err != nil {
			return kindOf(err, "look for events' ids")
		}
		prints[hash] = print
	}
	return kindOf(rows.Err(), "look for events' ids")
}

// add says what of a batch is new and adds it to the row.
func (r *row) add(p *pending) {
	b := &p.batch
	var found []mark
	if b.Key != "" {
		print, seen := r.prints[p.key]
		switch {
		case seen && print == int64(b.Print):
			p.taken = Taken{Duplicates: len(b.Events)}
			return
		case seen:
			p.err = errs.E(errs.Invalid, "Idempotency-Key %q was used for another batch", b.Key).Next("Give each batch a key of its own.")
			return
		}
		found = append(found, mark{p.key, int64(b.Print)})
		r.prints[p.key] = int64(b.Print)
	}
	fresh := b.Events
	if p.ids != nil {
		fresh = make([]Event, 0, len(b.Events))
		for i, e := range b.Events {
			if e.ID != "" {
				if _, seen := r.prints[p.ids[i]]; seen {
					p.taken.Duplicates++
					continue
				}
				found = append(found, mark{p.ids[i], 0})
				r.prints[p.ids[i]] = 0
			}
			fresh = append(fresh, e)
		}
	}
	p.taken.Accepted = len(fresh)
	if len(fresh) > 0 {
		r.body = appendChunk(r.body, b.Environment, found, fresh)
		r.events += int64(len(fresh))
		r.marks = append(r.marks, found...)
	}
}

func (s *Store) write(seq int64, r row, trim int64) error {
	tx, err := s.journal.writer.Begin()
	if err != nil {
		return kindOf(err, "write events")
	}
	defer tx.Rollback()
	if r.events > 0 {
		if _, err := tx.Exec("INSERT INTO journal (seq, events, body) VALUES (?, ?, ?)", seq, r.events, r.body); err != nil {
			return kindOf(err, "write events")
		}
	}
	if trim > 0 {
		if _, err := tx.Exec("DELETE FROM journal WHERE seq <= ?", trim); err != nil {
			return kindOf(err, "remove folded events from the journal")
		}
	}
	return kindOf(tx.Commit(), "write events")
}
