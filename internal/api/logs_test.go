package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/api"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/logs"
	"github.com/ringfence/ringfence/internal/logs/segment"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/test/plane"
)

// withLogs is a plane whose API keeps log entries.
func withLogs(t *testing.T) (*plane.Plane, *segment.Store, string) {
	t.Helper()
	p := plane.Start(t)
	store, err := segment.Open(segment.Options{Dir: t.TempDir(), MinFree: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	o := p.Server.Options
	o.LogStore = store
	server, err := api.New(o)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	return p, store, web.URL
}

func ask(t *testing.T, method, url, token, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestLogs(t *testing.T) {
	p, _, at := withLogs(t)
	viewer, unit := p.Tokens[policy.Viewer], p.Tokens[policy.DataPlane]
	now := time.Now().UTC().Add(-time.Second) // what is to come is not looked for
	batch := func(from, to int, service string, n int) string {
		b := wire.LogBatch{Stream: "shop/v1/1", From: int64(from), To: int64(to)}
		for i := range n {
			e := wire.LogEntry{Time: now.Add(time.Duration(from+i) * time.Millisecond), Service: service, Version: fmt.Sprintf("v%d", i%2), Ring: "canary", Text: fmt.Sprintf("line %d", from+i), Unit: "another"}
			if i == 0 {
				e.Severity = "error"
			}
			b.Entries = append(b.Entries, e)
		}
		raw, _ := json.Marshal(b)
		return string(raw)
	}
	for range 2 { // the second time the answer was lost
		if code, body := ask(t, "POST", at+"/v1/units/local/logs", unit, batch(0, 100, "shop", 30)); code != 200 || !strings.Contains(body, `"to":100`) {
			t.Fatalf("%d %s", code, body)
		}
	}
	if code, _ := ask(t, "POST", at+"/v1/units/local/logs", viewer, batch(0, 100, "shop", 1)); code != 403 {
		t.Errorf("a viewer sends logs: %d", code)
	}
	var page wire.LogPage
	code, body := ask(t, "GET", at+"/v1/logs?service=shop&version=v1&limit=10&since=10m", viewer, "")
	if json.Unmarshal([]byte(body), &page) != nil || code != 200 || len(page.Items) != 10 || page.Next == "" || page.Items[0].Text != "line 29" || page.Items[0].Unit != "local" {
		t.Fatalf("%d %s", code, body)
	}
	code, body = ask(t, "GET", at+"/v1/logs?service=shop&version=v1&limit=10&since=10m&before="+page.Next, viewer, "")
	page = wire.LogPage{}
	if json.Unmarshal([]byte(body), &page) != nil || code != 200 || len(page.Items) != 5 || page.Next != "" || page.Items[4].Text != "line 1" {
		t.Errorf("%d %s", code, body)
	}
	if code, body = ask(t, "GET", at+"/v1/logs/counts?service=shop&by=version&by=ring&step=1m", viewer, ""); code != 200 || !strings.Contains(body, `{"values":["v0","canary"],"entries":15,"errors":1,"steps":[`) {
		t.Errorf("%d %s", code, body)
	}
	for _, wrong := range []string{"severity=loud", "since=long", "before=x", "limit=100000", "text=" + strings.Repeat("x", 1001), "unheard=of", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"} {
		if code, body := ask(t, "GET", at+"/v1/logs?"+wrong, viewer, ""); code != 422 && code != 400 || !strings.Contains(body, `"detail"`) {
			t.Errorf("%s: %d %s", wrong, code, body)
		}
	}
	if code, _ := ask(t, "GET", at+"/v1/logs/counts?by=text", viewer, ""); code != 422 {
		t.Errorf("counted by text: %d", code)
	}
}

func TestLogsAreFollowed(t *testing.T) {
	p, store, at := withLogs(t)
	req, _ := http.NewRequestWithContext(t.Context(), "GET", at+"/v1/logs/stream?service=shop&severity=error", nil)
	req.Header.Set("Authorization", "Bearer "+p.Tokens[policy.Viewer])
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for i := range 20 {
		e := logs.Entry{Time: time.Now(), Severity: logs.Info, Labels: logs.Labels{Service: "shop"}, Text: fmt.Sprint(i)}
		if i%2 == 1 {
			e.Severity = logs.Error
		}
		if err := store.Append(t.Context(), logs.Batch{Entries: []logs.Entry{e}}); err != nil {
			t.Fatal(err)
		}
	}
	lines, want := bufio.NewScanner(res.Body), 1
	for lines.Scan() && want < 20 {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e wire.LogEntry
		if json.Unmarshal([]byte(data), &e) != nil || e.Text != fmt.Sprint(want) || e.Seq != uint64(want+1) {
			t.Fatalf("%s, expected %d", data, want)
		}
		want += 2
	}
}

// full is a store on a full disk.
type full struct{ api.LogStore }

func (full) Append(context.Context, logs.Batch) error {
	return errs.E(errs.Unavailable, "the disk of the logs is full")
}

func TestAFullDiskOfLogsIsSaid(t *testing.T) {
	p := plane.Start(t)
	o := p.Server.Options
	o.LogStore = full{}
	server, err := api.New(o)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	defer web.Close()
	if code, body := ask(t, "POST", web.URL+"/v1/units/local/logs", p.Tokens[policy.DataPlane], `{"stream":"a","from":0,"to":1,"entries":[{"time":"2026-01-01T00:00:00Z","service":"shop","text":"x"}]}`); code != 503 || !strings.Contains(body, "full") {
		t.Errorf("%d %s", code, body)
	}
	if code, body := ask(t, "GET", web.URL+"/v1/services", p.Tokens[policy.Viewer], ""); code != 200 {
		t.Errorf("the rest goes on: %d %s", code, body)
	}
}
