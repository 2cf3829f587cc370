package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/logs"
	"github.com/ringfence/ringfence/internal/policy"
)

// LogStore keeps log entries. Changed returns a channel that is closed when entries were taken.
type LogStore interface {
	Append(ctx context.Context, b logs.Batch) error
	Position(stream string) int64
	Find(ctx context.Context, q logs.Query) (logs.Page, error)
	Count(ctx context.Context, q logs.CountQuery) (logs.Counts, error)
	Changed() <-chan struct{}
}

const (
	logSpan   = time.Hour        // that is looked at when none is said
	logTime   = 10 * time.Second // for an answer; then it is partial
	maxBatch  = 8 << 20
	tailPage  = 500
	tailPause = 200 * time.Millisecond // so that a flood is read in large pieces
)

func (s *Server) logStore() {
	if s.LogStore == nil {
		return
	}
	register(s, operation{method: http.MethodGet, path: "/v1/logs", id: "listLogs", tag: "logs", summary: "Lists log entries, the newest first",
		about: "Without from and since, those of the last hour. Words of text are all to be in an entry, in any case; in quotes, a phrase; after a -, one that is not.",
		route: route{action: policy.Read}}, s.listLogs)
	register(s, operation{method: http.MethodGet, path: "/v1/logs/counts", id: "countLogs", tag: "logs", summary: "Counts log entries by labels and time",
		route: route{action: policy.Read}}, s.countLogs)
	register(s, operation{method: http.MethodGet, path: "/v1/logs/stream", id: "streamLogs", tag: "logs", media: "text/event-stream",
		summary: "Streams log entries as server-sent events, as they are taken",
		about:   "The id of each is its number. Without after and Last-Event-ID the stream begins with what comes next.",
		route:   route{action: policy.Read, stream: true}}, s.streamLogs)
	register(s, operation{method: http.MethodPost, path: "/v1/units/{unit}/logs", id: "sendLogs", tag: "units",
		summary: "Takes what instances and the gateway of a unit wrote", about: "Answers how far the stream was taken. 503: not now; send it again later. Unknown fields are ignored.",
		route: route{action: policy.Operate, maxBody: maxBatch}, loose: true}, s.takeLogs)
}

// LogFilterInput says which entries are meant.
type LogFilterInput struct {
	Service  []string `query:"service,explode" maxItems:"50" doc:"only of these"`
	Version  []string `query:"version,explode" maxItems:"50" doc:"only of these"`
	Ring     []string `query:"ring,explode" maxItems:"50" doc:"only of these"`
	Unit     []string `query:"unit,explode" maxItems:"50" doc:"only of these"`
	Instance []string `query:"instance,explode" maxItems:"50" doc:"only of these"`
	Source   []string `query:"source,explode" maxItems:"10" doc:"only of these: output, gateway, otlp, ringfence"`
	Severity string   `query:"severity" maxLength:"12" doc:"trace, debug, info, warn, error or fatal, and above"`
	Text     string   `query:"text" maxLength:"1000" doc:"words that are all in an entry"`
	Trace    string   `query:"trace" maxLength:"200" doc:"only of this trace"`
}

func (in LogFilterInput) filter() (logs.Filter, error) {
	severity, err := logs.ParseSeverity(in.Severity)
	return logs.Filter{Service: in.Service, Version: in.Version, Ring: in.Ring, Unit: in.Unit, Instance: in.Instance, Source: in.Source,
		Severity: severity, Text: in.Text, Trace: in.Trace}, err
}

// LogTimeInput says of which time.
type LogTimeInput struct {
	LogFilterInput
	Since string    `query:"since" maxLength:"20" doc:"how long ago it begins, such as 15m"`
	From  time.Time `query:"from" doc:"when it begins"`
	To    time.Time `query:"to" doc:"when it ends; left out, now"`
}

func (in LogTimeInput) filter(now time.Time) (logs.Filter, error) {
	f, err := in.LogFilterInput.filter()
	if err != nil {
		return f, err
	}
	f.From, f.To = in.From, in.To
	if in.Since != "" {
		d, err := time.ParseDuration(in.Since)
		if err != nil || d <= 0 {
			return f, errs.E(errs.Invalid, "since %q: expected a duration such as 15m", in.Since)
		}
		f.From = now.Add(-d)
	}
	if f.From.IsZero() {
		end := f.To
		if end.IsZero() {
			end = now
		}
		f.From = end.Add(-logSpan)
	}
	return f, nil
}

type listLogsInput struct {
	LogTimeInput
	Limit  int    `query:"limit" minimum:"1" maximum:"5000" default:"100" doc:"at most so many"`
	Before string `query:"before" maxLength:"60" doc:"older than this: next of the answer before"`
}

func (s *Server) listLogs(ctx context.Context, in *listLogsInput) (*answered[wire.LogPage], error) {
	f, err := in.filter(s.Now())
	if err != nil {
		return nil, err
	}
	before, err := logs.ParseCursor(in.Before)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, logTime)
	defer cancel()
	page, err := s.LogStore.Find(ctx, logs.Query{Filter: f, Limit: in.Limit, Before: before})
	if err != nil {
		return nil, err
	}
	out := wire.LogPage{Items: make([]wire.LogEntry, len(page.Entries)), Next: page.Next.String(), Last: page.Last, Partial: page.Partial}
	for i, e := range page.Entries {
		out.Items[i] = wire.LogEntryOf(e)
	}
	return &answered[wire.LogPage]{out}, nil
}

type countLogsInput struct {
	LogTimeInput
	By   []string `query:"by,explode" maxItems:"4" doc:"service, version, ring, unit, instance, source, severity"`
	Step string   `query:"step" maxLength:"20" doc:"count by steps of time, too, such as 1m; at most 1000"`
}

func (s *Server) countLogs(ctx context.Context, in *countLogsInput) (*answered[wire.LogCounts], error) {
	f, err := in.filter(s.Now())
	if err != nil {
		return nil, err
	}
	q := logs.CountQuery{Filter: f, By: in.By}
	if in.Step != "" {
		if q.Step, err = time.ParseDuration(in.Step); err != nil || q.Step < time.Second {
			return nil, errs.E(errs.Invalid, "step %q: expected a duration of a second or more", in.Step)
		}
		if q.To.IsZero() {
			q.To = s.Now()
		}
	}
	ctx, cancel := context.WithTimeout(ctx, logTime)
	defer cancel()
	counts, err := s.LogStore.Count(ctx, q)
	if err != nil {
		return nil, err
	}
	out := wire.LogCounts{By: in.By, Items: make([]wire.LogCount, len(counts.All)), Partial: counts.Partial}
	for i, c := range counts.All {
		out.Items[i] = wire.LogCount(c)
	}
	return &answered[wire.LogCounts]{out}, nil
}

type streamLogsInput struct {
	LogFilterInput
	After int64 `query:"after" minimum:"-1" default:"-1" doc:"begin after this number; -1 for now"`
	Last  int64 `header:"Last-Event-ID" minimum:"0" doc:"the number of the last one received"`
}

func (s *Server) streamLogs(ctx context.Context, in *streamLogsInput) (*huma.StreamResponse, error) {
	f, err := in.filter()
	if err != nil {
		return nil, err
	}
	if _, err := f.Compile(); err != nil {
		return nil, err
	}
	after := uint64(max(in.After, in.Last, 0))
	if in.After < 0 && in.Last == 0 {
		page, err := s.LogStore.Find(ctx, logs.Query{Filter: logs.Filter{From: s.Now()}, Limit: 1})
		if err != nil {
			return nil, err
		}
		after = page.Last
	}
	return stream("text/event-stream", map[string]string{"X-Accel-Buffering": "no"}, func(w io.Writer) error {
		if _, err := io.WriteString(w, "retry: 1000\n\n"); err != nil {
			return nil
		}
		s.tail(ctx, w, f, after)
		return nil
	}), nil
}

// tail writes entries until either side ends. Whoever lost the connection goes on from the last number.
func (s *Server) tail(ctx context.Context, w io.Writer, f logs.Filter, after uint64) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		changed := s.LogStore.Changed()
		page, err := s.LogStore.Find(ctx, logs.Query{Filter: f, After: after, Tail: true, Limit: tailPage})
		if err != nil {
			return
		}
		for _, e := range page.Entries {
			body, err := json.Marshal(wire.LogEntryOf(e))
			if err != nil {
				return
			}
			if _, err := fmt.Fprintf(w, "id: %d\nevent: log\ndata: %s\n\n", e.Seq, body); err != nil {
				return
			}
		}
		after = max(after, page.Last)
		pause := tailPause
		if len(page.Entries) == tailPage {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-beat.C:
			pause = 0
			if _, err := io.WriteString(w, ": still here\n\n"); err != nil {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

type takeLogsInput struct {
	ByPlane
	Body wire.LogBatch
}

func (s *Server) takeLogs(ctx context.Context, in *takeLogsInput) (*answered[wire.LogTaken], error) {
	if err := s.Hub.Admit(ctx, in.Unit, in.Plane); err != nil {
		return nil, err
	}
	b := logs.Batch{From: in.Body.From, To: in.Body.To, Entries: make([]logs.Entry, len(in.Body.Entries))}
	if len(b.Entries) > logs.MaxBatch || len(in.Body.Stream) > 1000 {
		return nil, errs.E(errs.Invalid, "%d entries of a stream of %d characters; expected at most %d and 1000", len(b.Entries), len(in.Body.Stream), logs.MaxBatch)
	}
	if in.Body.Stream != "" { // streams of units are apart
		b.Stream = in.Unit + "\x00" + in.Body.Stream
	}
	for i, e := range in.Body.Entries {
		b.Entries[i] = e.Entry()
		b.Entries[i].Unit = in.Unit
		if b.Entries[i].Time.IsZero() {
			b.Entries[i].Time = s.Now()
		}
	}
	if err := s.LogStore.Append(ctx, b); err != nil {
		return nil, err
	}
	to := in.Body.To
	if b.Stream != "" {
		to = s.LogStore.Position(b.Stream)
	}
	return &answered[wire.LogTaken]{wire.LogTaken{To: to}}, nil
}
