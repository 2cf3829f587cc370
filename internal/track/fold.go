package track

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

const (
	foldEvery = 5 * time.Second
	foldAt    = 100_000 // events that are folded without waiting
	foldMost  = 100_000 // events of one transaction; the last row of the journal may exceed it
	foldRetry = 2 * time.Second
)

var errClosed = errs.E(errs.Unavailable, "the store of events is closed")

// folding is how far the journal is folded. moved is closed and replaced whenever that changes or an attempt fails.
type folding struct {
	mu    sync.Mutex
	seq   int64
	err   error
	moved chan struct{}
	wake  chan struct{}
	work  sync.Mutex // held while folding
}

func (f *folding) nudge() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *folding) state() (seq int64, moved chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seq, f.moved, f.err
}

func (f *folding) set(seq int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seq, f.err = max(f.seq, seq), err
	close(f.moved)
	f.moved = make(chan struct{})
}

// Settle returns when everything acknowledged before the call is where readers see it.
func (s *Store) Settle(ctx context.Context) error {
	target := s.lastSeq.Load()
	first := true
	for {
		seq, moved, err := s.folding.state()
		if seq >= target {
			return nil
		}
		if err != nil && (!first || errors.Is(err, errClosed)) {
			return err
		}
		first = false
		s.folding.nudge()
		select {
		case <-moved:
		case <-ctx.Done():
			return kindOf(ctx.Err(), "wait for events to be readable")
		}
	}
}

func (s *Store) foldLoop(ctx context.Context) {
	defer s.done.Done()
	defer func() { s.folding.set(0, errClosed) }()
	tick := time.NewTicker(foldEvery)
	defer tick.Stop()
	for {
		if s.folding.seq < s.lastSeq.Load() { // only this goroutine sets it
			if err := s.fold(ctx); err != nil && ctx.Err() == nil {
				s.logger.Error("events could not be folded; they are kept in the journal", "err", err)
				s.folding.set(0, err)
				select {
				case <-time.After(foldRetry):
				case <-ctx.Done():
				}
			}
		}
		if s.folding.seq < s.lastSeq.Load() && s.backlog.Load() >= foldAt {
			s.folding.nudge()
		}
		select {
		case <-ctx.Done():
			return
		case <-s.folding.wake:
		case <-tick.C:
		}
	}
}

// fold moves the next rows of the journal into events.db.
func (s *Store) fold(ctx context.Context) error {
	s.folding.work.Lock()
	defer s.folding.work.Unlock()
	b, err := s.nextRows(ctx)
	if err != nil || b.upTo == 0 {
		return err
	}
	tx, err := s.events.writer.BeginTx(ctx, nil)
	if err != nil {
		return kindOf(err, "fold events")
	}
	defer tx.Rollback()
	f := &folder{tx: tx, store: s, batch: b, names: map[nameKey]int64{}, hour: s.now().Unix() / 3600}
	if err := f.run(); err != nil {
		s.users.forget()
		return err
	}
	if err := tx.Commit(); err != nil {
		s.users.forget()
		return kindOf(err, "fold events")
	}
	for k, id := range f.names {
		s.names.set(k, id)
	}
	s.backlog.Add(-int64(len(b.records)))
	s.marks.folded(b.upTo)
	s.folding.set(b.upTo, nil)
	s.trimTo(b.upTo)
	return nil
}

// folded is what some rows of the journal hold.
type folded struct {
	upTo    int64
	records []record
	marks   []mark
}

func (s *Store) nextRows(ctx context.Context) (folded, error) {
	var b folded
	rows, err := s.journal.reader.QueryContext(ctx, "SELECT seq, body FROM journal WHERE seq > ? ORDER BY seq LIMIT 10000", s.folding.seq)
	if err != nil {
		return b, kindOf(err, "read the journal of events")
	}
	defer rows.Close()
	for len(b.records) < foldMost && rows.Next() {
		var body string
		if err := rows.Scan(&b.upTo, &body); err != nil {
			return b, kindOf(err, "read the journal of events")
		}
		err := readJournal(body, func(m mark) { b.marks = append(b.marks, m) }, func(r record) { b.records = append(b.records, r) })
		if err != nil {
			return b, err
		}
	}
	return b, kindOf(rows.Err(), "read the journal of events")
}

// inserter inserts many rows by few statements: running one costs more than inserting a row.
type inserter struct {
	many, one *sql.Stmt
	width     int
	args      []any
}

const rowsAtOnce = 40

func newInserter(tx *sql.Tx, head, row, tail string, width int) (*inserter, error) {
	text := head + row
	one, err := tx.Prepare(text + tail)
	if err != nil {
		return nil, kindOf(err, "fold events")
	}
	b := make([]byte, 0, len(text)+len(tail)+rowsAtOnce*(len(row)+1))
	b = append(b, text...)
	for range rowsAtOnce - 1 {
		b = append(append(b, ','), row...)
	}
	many, err := tx.Prepare(string(append(b, tail...)))
	if err != nil {
		return nil, kindOf(err, "fold events")
	}
	return &inserter{many: many, one: one, width: width}, nil
}

func (i *inserter) add(args ...any) error {
	i.args = append(i.args, args...)
	if len(i.args) < i.width*rowsAtOnce {
		return nil
	}
	_, err := i.many.Exec(i.args...)
	i.args = i.args[:0]
	return kindOf(err, "fold events")
}

// flush inserts the rest and lets the statements go.
func (i *inserter) flush() error {
	for n := 0; n < len(i.args); n += i.width {
		if _, err := i.one.Exec(i.args[n : n+i.width]...); err != nil {
			return kindOf(err, "fold events")
		}
	}
	_ = i.many.Close() // of this transaction alone
	_ = i.one.Close()
	return nil
}
