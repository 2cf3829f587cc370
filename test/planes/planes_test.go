package planes

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/app"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/store/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// keeper is one of the control planes on a database.
type keeper struct {
	url, token string
	kill       func()
}

// keep starts a control plane on a database, with a folder of its own.
func keep(t *testing.T, database string) *keeper {
	t.Helper()
	data := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- app.Server(ctx, app.ServerConfig{Data: data, Database: database, Listen: "127.0.0.1:0", Scrape: time.Second, Step: time.Second, Logger: slog.New(slog.DiscardHandler)})
	}()
	k := &keeper{kill: sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})}
	t.Cleanup(k.kill)
	soonIs(t, "a control plane is up", func() bool {
		run, err := app.ReadRunFile(data, "server")
		k.url = run.URL
		return err == nil
	})
	var err error
	if k.token, err = access.ReadToken(filepath.Join(data, access.AdminFile)); err != nil {
		t.Fatal(err)
	}
	return k
}

// soonIs waits for what comes by itself.
func soonIs(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not seen: " + what)
		}
	}
}

// ask sends a request, and reads the answer into v when there is one.
func (k *keeper) ask(method, path, contentType, body string, v any) error {
	req, err := http.NewRequest(method, k.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+k.token)
	req.Header.Set("Content-Type", contentType)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s", method, path, res.Status)
	}
	if v == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(v)
}

// pagerOf is who is paged: by webhook, with what Alertmanager sends.
type pagerOf struct {
	mu   sync.Mutex
	rang []string // alert, status
}

func (p *pagerOf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m struct {
		Status       string            `json:"status"`
		CommonLabels map[string]string `json:"commonLabels"`
	}
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rang = append(p.rang, m.CommonLabels["alertname"]+" "+m.Status)
}

func (p *pagerOf) count(what string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.rang {
		if s == what {
			n++
		}
	}
	return n
}

const watched = `
apiVersion: ringfence.dev/v1
kind: Notifier
metadata: {name: team}
spec: {to: {alertmanager: {url: "%s"}}}
---
apiVersion: ringfence.dev/v1
kind: AlertRouting
metadata: {name: alerts}
spec: {route: {to: [team], groupBy: [alertname, probe], groupWait: 1s, groupInterval: 1s}}
---
apiVersion: ringfence.dev/v1
kind: Probe
metadata: {name: home}
spec: {target: address, address: "%s", every: 1s, http: {path: /}, alert: {severity: page}}
---
apiVersion: ringfence.dev/v1
kind: SLO
metadata: {name: pay}
spec:
  apiVersion: openslo/v1
  kind: SLO
  metadata: {name: pay}
  spec:
    service: pay
    budgetingMethod: Occurrences
    indicator: {metadata: {name: pay}, spec: {ratioMetric: {counter: true, bad: {metricSource: {type: Prometheus, spec: {query: vector_bad_total}}}, total: {metricSource: {type: Prometheus, spec: {query: vector_all_total}}}}}}
    timeWindow: [{duration: 1h, isRolling: true}]
    objectives: [{target: 0.99}]
`

// TestTwoPlanesOnOneDatabase: what both see at the same time is one alert, one page, one incident and one entry of the record each; and as one dies,
// in the middle of it, the other goes on, and nobody is paged again.
func TestTwoPlanesOnOneDatabase(t *testing.T) {
	database := pgtest.URL(t)
	phone := &pagerOf{}
	calls := httptest.NewServer(phone)
	defer calls.Close()
	var down atomic.Bool
	var looks atomic.Int64
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		looks.Add(1)
		if down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer site.Close()
	a, b := keep(t, database), keep(t, database)
	files := []wire.File{{Name: "watched.yaml", Text: fmt.Sprintf(watched, calls.URL, site.URL)}}
	if _, err := client.New(client.Options{URL: a.url, Token: a.token}).Apply(t.Context(), files, false); err != nil {
		t.Fatal(err)
	}
	both := []*keeper{a, b}
	ctx, stop := context.WithCancel(t.Context())
	var feeding sync.WaitGroup
	defer feeding.Wait()
	defer stop()
	feeding.Go(func() { feed(ctx, both) })

	soonIs(t, "both look at the site", func() bool { return looks.Load() > 4 })
	down.Store(true)
	soonIs(t, "it is paged that the site is down", func() bool { return phone.count("ProbeFails firing") > 0 })
	soonIs(t, "it is paged that a budget burns", func() bool { return phone.count("ErrorBudgetBurn firing") > 0 })
	soonIs(t, "it is paged what another program says", func() bool { return phone.count("Told firing") > 0 })
	a.kill() // with what both know, half told
	before := looks.Load()
	soonIs(t, "the other one goes on looking", func() bool { return looks.Load() > before+8 })
	down.Store(false)
	soonIs(t, "it is told that the site is well", func() bool { return phone.count("ProbeFails resolved") > 0 })

	for _, what := range []string{"ProbeFails firing", "ErrorBudgetBurn firing", "Told firing", "ProbeFails resolved"} {
		if n := phone.count(what); n != 1 && (what != "ErrorBudgetBurn firing" || n > 2) { // a page and a ticket may be told one after the other
			t.Errorf("%s was told %d times: %v", what, n, phone.rang)
		}
	}
	other := client.New(client.Options{URL: b.url, Token: b.token})
	onRecord(t, other)
	if _, err := other.Incident(t.Context(), "inc-3"); err != nil {
		t.Error(err)
	}
}

// feed tells all control planes of a failing service until ctx ends: its counters, and the alert of another program.
func feed(ctx context.Context, all []*keeper) {
	n := 0
	for ctx.Err() == nil {
		n += 100
		text := fmt.Sprintf(`{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"metrics":[%s,%s]}]}]}`, sum("vector_all", n), sum("vector_bad", n/2))
		for _, k := range all {
			_ = k.ask(http.MethodPost, "/v1/metrics", "application/json", text, nil)
			_ = k.ask(http.MethodPost, "/api/v2/alerts", "application/json", `[{"labels":{"alertname":"Told","service":"cart","severity":"page"}}]`, nil)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

var begun = time.Now().UnixNano()

func sum(name string, n int) string {
	return fmt.Sprintf(`{"name":%q,"sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"startTimeUnixNano":"%d","timeUnixNano":"%d","asInt":"%d"}]}}`, name, begun, time.Now().UnixNano(), n)
}

// onRecord holds that what happened once is on the record once.
func onRecord(t *testing.T, c *client.Client) {
	t.Helper()
	seen := map[string]int{}
	for after := int64(0); ; {
		page, err := c.Events(t.Context(), wire.EventQuery{After: after, Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Items) == 0 {
			break
		}
		for _, ev := range page.Items {
			seen[ev.Type+" "+ev.Subject]++
			after = ev.Seq
		}
	}
	incidents := 0
	for what, n := range seen {
		typ, _, _ := strings.Cut(what, " ")
		switch typ {
		case "alert.fired", "alert.resolved", "incident.opened", "incident.resolved":
			if n != 1 {
				t.Errorf("%s is %d times on the record", what, n)
			}
			if typ == "incident.opened" {
				incidents++
			}
		case "slo.burning", "probe.down", "probe.up": // a page and a ticket; each control plane that saw it
			if n > 2 {
				t.Errorf("%s is %d times on the record", what, n)
			}
		}
	}
	if incidents != 3 { // of the site, of what burns, of what was told
		t.Errorf("%d incidents, expected one for each of three services: %v", incidents, seen)
	}
}
