package track

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

const (
	// DefaultRetention is how long events are kept.
	DefaultRetention = 90 * 24 * time.Hour
	// RepeatWindow is how long at least a repeated id is recognised.
	RepeatWindow = 48 * time.Hour
	// maxWaiting and maxBacklog bound what was not yet written, and not yet folded; in events.
	maxWaiting = 100_000
	maxBacklog = 1_000_000
)

// ErrBusy refuses a batch because too much waits already.
var ErrBusy = errs.E(errs.Unavailable, "more events wait than can be worked off").Next("Send the batch again a little later.")

// Options configure a store.
type Options struct {
	Folder    string
	Retention time.Duration    // 0: DefaultRetention
	Now       func() time.Time // nil: time.Now
	Logger    *slog.Logger     // nil: silent
}

// Store keeps events in a folder.
type Store struct {
	retention time.Duration
	now       func() time.Time
	logger    *slog.Logger
	locked    *os.File
	journal   *file
	events    *file
	names     *names
	known     [2]*sql.Stmt // prints of folded ids: of one, of idsAtOnce

	intake  intake
	marks   marks
	lastSeq atomic.Int64 // of the journal
	backlog atomic.Int64 // events in the journal and not in events.db
	doubt   bool         // a commit failed: what the journal holds must be looked at

	folding folding
	users   users
	totals  totals
	reading chan struct{} // summaries under way, so that they leave readers for ids
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// Open opens the store in a folder, makes it when there is none, and starts folding and sweeping.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{retention: o.Retention, now: o.Now, logger: o.Logger}
	if s.retention <= 0 {
		s.retention = DefaultRetention
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if err := s.open(ctx, o.Folder); err != nil {
		return nil, errors.Join(err, s.closeFiles())
	}
	s.intake.wake.L = &s.intake.mu
	work, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.done.Add(3)
	go s.commitLoop()
	go s.foldLoop(work)
	go s.sweepLoop(work)
	return s, nil
}

func (s *Store) open(ctx context.Context, folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return errs.Wrap(errs.Unavailable, err, "folder of events")
	}
	var err error
	if s.locked, err = lock(folder); err != nil {
		return err
	}
	if s.journal, err = openFile(ctx, filepath.Join(folder, "journal.db"), journalSchema, 2_000); err != nil {
		return err
	}
	if s.events, err = openFile(ctx, filepath.Join(folder, "events.db"), eventsSchema, 16_000); err != nil {
		return err
	}
	for i, n := range []int{1, idsAtOnce} {
		text := "SELECT hash, print FROM ids WHERE hash IN (?" + strings.Repeat(",?", n-1) + ")"
		if s.known[i], err = s.events.reader.PrepareContext(ctx, text); err != nil {
			return kindOf(err, "open the events")
		}
	}
	if s.names, err = loadNames(ctx, s.events.reader); err != nil {
		return err
	}
	s.marks.prints = map[int64]int64{}
	s.folding.moved = make(chan struct{})
	s.reading = make(chan struct{}, readers/2)
	s.folding.wake = make(chan struct{}, 1)
	if err := s.events.reader.QueryRowContext(ctx, "SELECT seq FROM folded").Scan(&s.folding.seq); err != nil {
		return kindOf(err, "read how far the journal is folded")
	}
	s.lastSeq.Store(s.folding.seq)
	return s.catchUp(ctx)
}

// catchUp learns what the journal holds beyond what this process knows of: at the start, and after a failed commit,
// which may have been kept all the same.
func (s *Store) catchUp(ctx context.Context) error {
	rows, err := s.journal.reader.QueryContext(ctx, "SELECT seq, events, body FROM journal WHERE seq > ? ORDER BY seq", s.lastSeq.Load())
	if err != nil {
		return kindOf(err, "read the journal of events")
	}
	defer rows.Close()
	for rows.Next() {
		var seq, events int64
		var body string
		if err := rows.Scan(&seq, &events, &body); err != nil {
			return kindOf(err, "read the journal of events")
		}
		var found []mark
		if err := readJournal(body, func(m mark) { found = append(found, m) }, func(record) {}); err != nil {
			return err
		}
		s.kept(seq, events, found)
	}
	return kindOf(rows.Err(), "read the journal of events")
}

// kept notes a row of the journal that is on disk.
func (s *Store) kept(seq, events int64, found []mark) {
	s.marks.add(seq, found)
	s.backlog.Add(events)
	s.lastSeq.Store(seq)
}

// Close finishes what waits and closes the files. What is not folded yet is folded after the next Open.
func (s *Store) Close() error {
	s.intake.mu.Lock()
	s.intake.closed = true
	s.intake.wake.Signal()
	s.intake.mu.Unlock()
	s.stop()
	s.done.Wait()
	return s.closeFiles()
}

func (s *Store) closeFiles() error {
	var list []error
	for _, stmt := range s.known {
		if stmt != nil {
			list = append(list, stmt.Close())
		}
	}
	for _, f := range []*file{s.events, s.journal} {
		if f != nil {
			list = append(list, f.close())
		}
	}
	if s.locked != nil {
		list = append(list, s.locked.Close())
	}
	return errors.Join(list...)
}

// marks are the ids that the journal holds and events.db may not yet.
type marks struct {
	mu     sync.Mutex
	prints map[int64]int64
	rows   []markedRow
}

type markedRow struct {
	seq   int64
	marks []mark
}

func (m *marks) add(seq int64, found []mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range found {
		m.prints[k.hash] = k.print
	}
	m.rows = append(m.rows, markedRow{seq, found})
}

func (m *marks) get(hash int64) (print int64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	print, ok = m.prints[hash]
	return print, ok
}

// folded forgets the ids of rows up to seq, which events.db has now.
func (m *marks) folded(seq int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for ; n < len(m.rows) && m.rows[n].seq <= seq; n++ {
		for _, k := range m.rows[n].marks {
			delete(m.prints, k.hash)
		}
	}
	m.rows = append([]markedRow(nil), m.rows[n:]...)
}
