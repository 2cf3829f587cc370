package app

import (
	"context"
	"path/filepath"
	"time"

	"github.com/ringfence/ringfence/internal/api"
	"github.com/ringfence/ringfence/internal/logs/segment"
	"github.com/ringfence/ringfence/internal/ui"
)

// logFolder holds, below the data folder, log entries.
const logFolder = "logs"

// LogLimits bound the log store.
type LogLimits struct {
	LogRetention time.Duration // older entries go; default a week
	LogDisk      int64         // what they take of the disk at most, in MiB; default 2048
}

// openLogs opens the store of log entries. What is wrong with it costs logs, not the control plane.
func (s *server) openLogs() {
	kept, err := segment.Open(segment.Options{Dir: filepath.Join(s.Data, logFolder), Retention: s.LogRetention, MaxBytes: s.LogDisk << 20, Logger: s.Logger})
	if err != nil {
		s.Logger.Error("log entries are not kept", "err", err)
		return
	}
	s.logs = kept
}

// logStore is nil when there is none.
func (s *server) logStore() api.LogStore {
	if s.logs == nil {
		return nil
	}
	return s.logs
}

func (s *server) closeLogs() error {
	if s.logs == nil {
		return nil
	}
	return s.logs.Close()
}

// sweepLogs removes old log entries.
func (s *server) sweepLogs(ctx context.Context) error {
	if s.logs == nil {
		return nil
	}
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.logs.Sweep()
		}
	}
}

// pageLogs is the same for the pages.
func (s *server) pageLogs() ui.LogStore {
	if s.logs == nil {
		return nil
	}
	return s.logs
}
