package tsdb

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// maintain moves full chunks out of the heap and cuts blocks.
func (db *DB) maintain(ctx context.Context) {
	defer close(db.done)
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := db.maintainOnce(ctx); err != nil && ctx.Err() == nil {
			db.log.Error("metrics maintenance failed", "err", err)
		}
	}
}

func (db *DB) maintainOnce(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("write chunks: %v", r)
		}
	}()
	// Cutting blocks and dropping old ones is what frees space, and it fails cleanly: it is tried on a full disk too.
	if err := db.tsdb.Compact(ctx); err != nil {
		return err
	}
	if err := db.space.check(); err != nil {
		return err
	}
	db.tsdb.ForceHeadMMap()
	return nil
}

// space refuses writes while the disk is nearly full. It asks the system at most once a second.
type space struct {
	free    func() (uint64, error)
	reserve uint64

	mu    sync.Mutex
	asked time.Time
	err   error
}

func (s *space) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.asked.IsZero() || now.Sub(s.asked) >= time.Second {
		s.asked, s.err = now, s.look()
	}
	return s.err
}

func (s *space) look() error {
	free, err := s.free()
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "metrics: free disk space")
	}
	if free < s.reserve {
		return errs.E(errs.Unavailable, "metrics: the disk is nearly full: %d MiB free, %d MiB are kept in reserve", free>>20, s.reserve>>20).
			Next("free disk space; metrics resume by themselves")
	}
	return nil
}

func freeBytes(dir string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return st.Bavail * uint64(st.Bsize), nil
}
