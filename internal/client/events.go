package client

import (
	"bufio"
	"bytes"
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
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
)

// Events returns entries of the record.
func (c *Client) Events(ctx context.Context, q wire.EventQuery) (wire.Events, error) {
	v := url.Values{}
	set := func(key string, n int64) {
		if n != 0 {
			v.Set(key, strconv.FormatInt(n, 10))
		}
	}
	set("after", q.After)
	set("before", q.Before)
	set("limit", int64(q.Limit))
	if q.Subject != "" {
		v.Set("subject", q.Subject)
	}
	if q.Type != "" {
		v.Set("type", q.Type)
	}
	if q.Actor != "" {
		v.Set("actor", q.Actor)
	}
	for key, at := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !at.IsZero() {
			v.Set(key, at.UTC().Format(time.RFC3339Nano))
		}
	}
	if q.Newest {
		v.Set("newest", "true")
	}
	var out wire.Events
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/events", query: v}, &out)
	return out, err
}

// silence is how long a stream may be silent, with its heartbeats, before the connection counts as dead.
const silence = 45 * time.Second

// Follow yields events after a number as they are recorded; from now on when after is -1. It outlives restarts of the
// control plane: each event comes once. It ends with ctx, or with an error when the control plane stays away.
func (c *Client) Follow(ctx context.Context, after int64, subject, typ string) iter.Seq2[audit.Event, error] {
	return func(yield func(audit.Event, error) bool) {
		if after < 0 {
			newest, err := c.Events(ctx, wire.EventQuery{Limit: 1, Newest: true})
			if err != nil {
				yield(audit.Event{}, err)
				return
			}
			after = 0
			if len(newest.Items) > 0 {
				after = newest.Items[0].Seq
			}
		}
		for ctx.Err() == nil {
			body, cancel, err := c.openEvents(ctx, after, subject, typ)
			if err != nil {
				if ctx.Err() == nil {
					yield(audit.Event{}, err)
				}
				return
			}
			more := readEvents(body, &after, func() { cancel(false) }, yield)
			cancel(true)
			if !more {
				return
			}
			select { // the stream ended: the control plane is going down, or is slow
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
}

// openEvents opens the stream. The function it returns ends it, or with false puts off the end for silence.
func (c *Client) openEvents(ctx context.Context, after int64, subject, typ string) (io.Reader, func(bool), error) {
	ctx, stop := context.WithCancel(ctx)
	q := url.Values{"after": {strconv.FormatInt(after, 10)}}
	if subject != "" {
		q.Set("subject", subject)
	}
	if typ != "" {
		q.Set("type", typ)
	}
	body, err := c.stream(ctx, request{method: http.MethodGet, path: "/v1/events/stream", query: q, accept: "text/event-stream"})
	if err != nil {
		stop()
		return nil, nil, err
	}
	timer := time.AfterFunc(silence, stop)
	return body, func(end bool) {
		if !end {
			timer.Reset(silence)
			return
		}
		timer.Stop()
		stop()
		_ = body.Close()
	}, nil
}

// readEvents yields events until the stream ends. It reports whether more are wanted.
func readEvents(body io.Reader, after *int64, alive func(), yield func(audit.Event, error) bool) bool {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 64<<10), 16<<20)
	var data bytes.Buffer
	for lines.Scan() {
		alive()
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "data:"):
			data.WriteString(strings.TrimPrefix(strings.TrimPrefix(line, "data:"), " "))
		case line == "" && data.Len() > 0:
			var e audit.Event
			if err := json.Unmarshal(data.Bytes(), &e); err != nil {
				yield(audit.Event{}, errs.Wrap(errs.Internal, err, "an event cannot be read"))
				return false
			}
			data.Reset()
			if e.Seq <= *after {
				continue
			}
			*after = e.Seq
			if !yield(e, nil) {
				return false
			}
		}
	}
	return true
}
