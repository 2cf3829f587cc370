package segment

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/logs"
)

// Options configure a store.
type Options struct {
	Dir       string
	Retention time.Duration // older entries go; default 7 days
	MaxBytes  int64         // of the folder; default 2 GiB
	MinFree   int64         // nothing is written when the disk has less room; default 256 MiB
	SealBytes int64         // a file that has grown to it is rewritten; default 16 MiB
	SealAge   time.Duration // or that is so old; default an hour
	AtOnce    int           // questions that are read for at once; default 4. Others wait for a moment, then are to come again
	Now       func() time.Time
	Logger    *slog.Logger

	Free func(dir string) (int64, error) // for tests: room on the disk
}

func (o Options) withDefaults() Options {
	or(&o.Retention, 7*24*time.Hour)
	or(&o.MaxBytes, 2<<30)
	or(&o.MinFree, 256<<20)
	or(&o.SealBytes, min(16<<20, max(64<<10, o.MaxBytes/8)))
	or(&o.SealAge, time.Hour)
	or(&o.AtOnce, 4)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Free == nil {
		o.Free = free
	}
	return o
}

func or[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}

func free(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}

// Store keeps entries.
type Store struct {
	Options

	asking  chan struct{} // holds one for each question that is read for
	writing sync.Mutex    // held by whoever writes files
	bytes   []byte        // what is written is put together here

	mu        sync.Mutex
	files     []*file // by number; the last is written to
	seq       uint64  // of the newest entry
	positions map[string]int64
	pending   []*waiting
	begun     time.Time // when the youngest file was made
	changed   chan struct{}
	full      error // why nothing is written now
	closed    bool

	sealing sync.WaitGroup
}

// waiting is an append that is not on the disk yet.
type waiting struct {
	batch logs.Batch
	done  chan struct{}
	err   error
}

// Open opens the store of a folder, or makes it.
func Open(o Options) (*Store, error) {
	s := &Store{Options: o.withDefaults(), positions: map[string]int64{}, changed: make(chan struct{})}
	s.asking = make(chan struct{}, s.AtOnce)
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, err
	}
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	next := uint64(1)
	for _, n := range slices.Sorted(maps.Keys(names)) {
		f, err := openFile(n, filepath.Join(s.Dir, names[n]), strings.HasSuffix(names[n], ".seg"))
		if err != nil {
			return nil, fmt.Errorf("logs: %w", err)
		}
		s.learn(f)
		s.files, next = append(s.files, f), n+1
	}
	if err := s.fresh(next); err != nil {
		s.Logger.Warn("logs cannot be written", "err", err) // what is there can be read
		s.full = err
	}
	for _, f := range slices.Clone(s.files) {
		if !f.sealed && (s.full != nil || f != s.files[len(s.files)-1]) {
			s.seal(f)
		}
	}
	return s, nil
}

// names are the folder's files by number. Of a file that was rewritten only the later form counts.
func (s *Store) names() (map[uint64]string, error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return nil, err
	}
	out := map[uint64]string{}
	for _, e := range entries {
		stem, ext := strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())), filepath.Ext(e.Name())
		n, err := strconv.ParseUint(stem, 10, 64)
		if err != nil || ext != ".log" && ext != ".seg" {
			if ext == ".tmp" {
				_ = os.Remove(filepath.Join(s.Dir, e.Name()))
			}
			continue
		}
		if had, ok := out[n]; ok {
			ext = ".seg"
			_ = os.Remove(filepath.Join(s.Dir, strings.TrimSuffix(had, filepath.Ext(had))+".log"))
		}
		out[n] = stem + ext
	}
	return out, nil
}

func (s *Store) learn(f *file) {
	for i := range f.headers {
		h := &f.headers[i]
		s.seq = max(s.seq, h.maxSeq)
		if h.stream != "" {
			s.positions[h.stream] = max(s.positions[h.stream], h.to)
		}
		for k, v := range h.positions {
			s.positions[k] = max(s.positions[k], v)
		}
	}
}

// fresh begins a file. It says how far streams were taken, as the files that said so may go.
func (s *Store) fresh(n uint64) error {
	path := filepath.Join(s.Dir, fmt.Sprintf("%012d.log", n))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	s.mu.Lock()
	frame := positionsFrame(s.positions)
	s.mu.Unlock()
	_, err = f.Write(frame)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = syncDir(s.Dir)
	}
	if err != nil {
		_ = f.Close()
		_ = os.Remove(path)
		return err
	}
	made := &file{n: n, path: path, f: f}
	made.holds.Store(1)
	made.add(header{size: int64(len(frame))})
	s.mu.Lock()
	s.files, s.begun = append(slices.Clone(s.files), made), s.Now()
	s.mu.Unlock()
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Close ends the store. What was acknowledged is on the disk already.
func (s *Store) Close() error {
	s.writing.Lock()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.writing.Unlock()
	s.sealing.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.files {
		f.release()
	}
	s.files = nil
	return nil
}

// Changed is closed when entries were taken.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Stats say how much there is.
type Stats struct {
	Bytes  int64
	Files  int
	Last   uint64
	Full   string // why nothing is taken just now
	Oldest time.Time
}

// Stats says how much there is.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{Files: len(s.files), Last: s.seq}
	for _, f := range s.files {
		st.Bytes += f.size
		for i := range f.headers {
			if h := &f.headers[i]; h.count > 0 && (st.Oldest.IsZero() || time.Unix(0, h.first).Before(st.Oldest)) {
				st.Oldest = time.Unix(0, h.first)
			}
		}
	}
	if s.full != nil {
		st.Full = s.full.Error()
	}
	return st
}

// Position is how far a stream was taken.
func (s *Store) Position(stream string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.positions[stream]
}

// Append takes a batch; when it returns nil its entries are on the disk. errs.Unavailable: there is no room now.
func (s *Store) Append(ctx context.Context, b logs.Batch) error {
	if len(b.Entries) > logs.MaxBatch {
		return errs.E(errs.Invalid, "a batch of %d entries; expected at most %d", len(b.Entries), logs.MaxBatch)
	}
	for i := range b.Entries {
		b.Entries[i].Cut()
	}
	w := &waiting{batch: b, done: make(chan struct{})}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errs.E(errs.Unavailable, "the log store is closing")
	}
	s.pending = append(s.pending, w)
	s.mu.Unlock()
	s.writing.Lock() // whoever gets it writes for all who wait
	s.mu.Lock()
	all := s.pending
	s.pending = nil
	s.mu.Unlock()
	if len(all) > 0 {
		s.commit(all)
	}
	s.writing.Unlock()
	<-w.done
	return w.err
}
