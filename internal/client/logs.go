package client

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/logs"
)

func logValues(f wire.LogFilter) url.Values {
	v := url.Values{}
	for name, all := range map[string][]string{"service": f.Service, "version": f.Version, "ring": f.Ring, "unit": f.Unit, "instance": f.Instance, "source": f.Source, "by": f.By} {
		if len(all) > 0 {
			v[name] = all
		}
	}
	for name, s := range map[string]string{"severity": f.Severity, "text": f.Text, "trace": f.Trace, "before": f.Before} {
		if s != "" {
			v.Set(name, s)
		}
	}
	if f.Since > 0 {
		v.Set("since", f.Since.String())
	}
	if !f.From.IsZero() {
		v.Set("from", f.From.UTC().Format(time.RFC3339Nano))
	}
	if !f.To.IsZero() {
		v.Set("to", f.To.UTC().Format(time.RFC3339Nano))
	}
	if f.Limit > 0 {
		v.Set("limit", number(f.Limit))
	}
	if f.Step > 0 {
		v.Set("step", f.Step.String())
	}
	return v
}

// FindLogs returns log entries, the newest first.
func (c *Client) FindLogs(ctx context.Context, f wire.LogFilter) (wire.LogPage, error) {
	var out wire.LogPage
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/logs", query: logValues(f)}, &out)
	return out, err
}

// CountLogs counts log entries by labels.
func (c *Client) CountLogs(ctx context.Context, f wire.LogFilter) (wire.LogCounts, error) {
	var out wire.LogCounts
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/logs/counts", query: logValues(f)}, &out)
	return out, err
}

// TailLogs yields entries after a number as they are taken. It outlives restarts of the control plane: each entry comes once.
func (c *Client) TailLogs(ctx context.Context, f wire.LogFilter, after uint64) iter.Seq2[wire.LogEntry, error] {
	return func(yield func(wire.LogEntry, error) bool) {
		for ctx.Err() == nil {
			v := logValues(f)
			v.Set("after", strconv.FormatUint(after, 10))
			live, stop := context.WithCancel(ctx)
			body, err := c.stream(live, request{method: http.MethodGet, path: "/v1/logs/stream", query: v, accept: "text/event-stream"})
			if err != nil {
				stop()
				if ctx.Err() == nil {
					yield(wire.LogEntry{}, err)
				}
				return
			}
			timer := time.AfterFunc(silence, stop)
			more := readLogs(body, &after, func() { timer.Reset(silence) }, yield)
			timer.Stop()
			stop()
			_ = body.Close()
			if !more {
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
}

func readLogs(body io.Reader, after *uint64, alive func(), yield func(wire.LogEntry, error) bool) bool {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 64<<10), 16<<20)
	for lines.Scan() {
		alive()
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e wire.LogEntry
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			yield(e, errs.Wrap(errs.Internal, err, "a log entry cannot be read"))
			return false
		}
		if e.Seq <= *after {
			continue
		}
		*after = e.Seq
		if !yield(e, nil) {
			return false
		}
	}
	return true
}

// SendLogs sends a part of a stream, and returns how far the stream was taken.
func (c *Client) SendLogs(ctx context.Context, unit string, b logs.Batch) (int64, error) {
	body := wire.LogBatch{Stream: b.Stream, From: b.From, To: b.To, Entries: make([]wire.LogEntry, len(b.Entries))}
	for i, e := range b.Entries {
		body.Entries[i] = wire.LogEntryOf(e)
	}
	var out wire.LogTaken
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/units/" + escape(unit) + "/logs", body: body, header: c.self()}, &out)
	return out.To, err
}
