package app

import (
	"context"
	"net/http"
	"path/filepath"
	"time"

	"github.com/ringfence/ringfence/internal/api"
	"github.com/ringfence/ringfence/internal/logs"
	"github.com/ringfence/ringfence/internal/logs/segment"
	"github.com/ringfence/ringfence/internal/otlp"
	"github.com/ringfence/ringfence/internal/track"
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

// otherRecords takes the log records of OpenTelemetry's that are no events.
func (s *server) otherRecords() track.Rest {
	if s.logs == nil {
		return nil
	}
	return func(ctx context.Context, all []logs.Entry) error { return s.logs.Append(ctx, logs.Batch{Entries: all}) }
}

// logsGRPC serves OpenTelemetry's logs over gRPC.
func (s *server) logsGRPC() http.Handler {
	rest := s.otherRecords()
	return otlp.New(otlp.Service{Rejected: "rejectedLogRecords", MaxBody: track.MaxBody, AtOnce: 8, Logger: s.Logger, Take: func(ctx context.Context, r otlp.Request) (otlp.Partial, error) {
		environment, err := s.environmentOf(r.HTTP)
		if err != nil {
			return otlp.Partial{}, err
		}
		lost, why, err := s.events.TakeLogs(ctx, environment, r.Body, r.JSON, rest)
		return otlp.Partial{Rejected: lost, Message: why}, err
	}}).GRPC()
}
