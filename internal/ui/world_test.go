package ui_test

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/api"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/blob"
	"github.com/ringfence/ringfence/internal/calendar"
	"github.com/ringfence/ringfence/internal/catalog"
	"github.com/ringfence/ringfence/internal/controller"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/serving"
	"github.com/ringfence/ringfence/internal/switchboard"
	"github.com/ringfence/ringfence/internal/ui"
	"github.com/ringfence/ringfence/test/plane"
)

// world is a control plane whose pages are served as in production: behind the API's headers and limits.
type world struct {
	*plane.Plane
	t    *testing.T
	url  string
	opts ui.Options
	late atomic.Int64 // how far the pages' clock is ahead
}

// hub reports what it is told to.
type hub struct{ status fleet.ServiceStatus }

func (h hub) Observe(string, string) (fleet.ServiceStatus, time.Time) { return h.status, time.Now() }

// metrics draw the same line for every question.
type metrics struct{ asked atomic.Int64 }

func (m *metrics) QueryRange(_ context.Context, _ string, from, to time.Time, step time.Duration) ([]ui.Line, error) {
	m.asked.Add(1)
	var out []ui.Line
	for _, version := range []string{"v1", "v2"} {
		l := ui.Line{Labels: map[string]string{"version": version, "service": "shop", "ring": "all"}}
		for at := from; !at.After(to); at = at.Add(step) {
			l.Points = append(l.Points, [2]float64{float64(at.UnixMilli()) / 1000, 5})
		}
		out = append(out, l)
	}
	return out, nil
}

// almanac fits the calendar to the pages.
type almanac struct{}

func (almanac) Between(w resource.Window, from, to time.Time, limit int) []ui.Span {
	var all []ui.Span
	for _, s := range calendar.Between(w, from, to, limit) {
		all = append(all, ui.Span(s))
	}
	return all
}

func (almanac) Export(w io.Writer, title, domain string, now time.Time, windows []ui.NamedWindow) error {
	feed := calendar.Feed{Title: title, Domain: domain, Now: now}
	for _, n := range windows {
		feed.Windows = append(feed.Windows, calendar.Named(n))
	}
	return calendar.ExportICS(w, feed)
}

const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>`

// start declares the shop, whose owner means no good, and takes v1 to everyone.
func start(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	w := &world{Plane: plane.Start(t), t: t}
	blobs, err := blob.New(filepath.Join(w.Dir, "artifacts"))
	must(t, err)
	declared := &catalog.Catalog{Store: w.Store, Blobs: blobs}
	w.opts = ui.Options{
		LastGood: func(ctx context.Context, service string) (string, error) {
			live, err := w.Controller.Live(ctx, service)
			if len(live.Good) > 1 {
				return live.Good[len(live.Good)-2], err
			}
			return "", err
		},
		Catalog: declared, Rollouts: w.Controller, Decisions: w.Controller, Plans: declared, Calendar: almanac{}, Store: w.Store, Notifier: w.Store, Access: access.Tokens{Store: w.Store},
		Metrics: &metrics{}, Version: "test", Simulate: time.Minute, Now: func() time.Time { return time.Now().Add(time.Duration(w.late.Load())) },
		Hub: hub{fleet.ServiceStatus{Name: "shop", Users: []fleet.UserCount{{Ring: "canary", Version: "on", Users: 7}}, Slots: []fleet.SlotStatus{{Version: "v1", Ready: 1, Wanted: 1, Failure: evil,
			Instances: []fleet.Instance{{ID: "shop/v1/1", PID: 4711, Address: "127.0.0.1:9", Ready: true, LastExit: evil}}}}}},
	}
	w.serveFlags(declared)
	w.url = w.serve()
	text := strings.Replace(plane.Shop, "owner: team-shop", "owner: '"+evil+"'", 1)
	text = strings.Replace(text, "name: canary,", "name: canary, purpose: '"+evil+"',", 1)
	_, err = w.Admin.Apply(t.Context(), []wire.File{{Name: "shop.yaml", Text: text}}, false)
	must(t, err)
	w.release("v1")
	return w
}

// serveFlags runs what serves flags in production and staging, and says what is in force there, as the control plane itself does.
func (w *world) serveFlags(declared *catalog.Catalog) {
	changed := make(chan struct{}, 1)
	engine := serving.New(serving.Options{Store: w.Store, Desired: controller.KindDesired, HeadKind: catalog.HeadKind, HeadName: catalog.HeadName, Every: 50 * time.Millisecond,
		Changed: func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		}})
	w.opts.Board = switchboard.New(switchboard.Options{Catalog: declared, Rollouts: w.Controller, Served: engine, Store: w.Store, Choices: serving.KindChoices})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = engine.Run(ctx) })
	running.Go(func() {
		for {
			o := fleet.Observed{Unit: flag.Unit, Time: time.Now()}
			for _, env := range []string{flag.Production, "staging"} {
				feed, err := engine.Await(ctx, env, "", 0)
				if err != nil {
					continue
				}
				for _, r := range feed.Ramps {
					o.Services = append(o.Services, engine.InForce(r.Name))
				}
			}
			_ = w.Hub.Report(ctx, o)
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
		}
	})
	w.t.Cleanup(func() { cancel(); running.Wait() })
}

// serve runs the pages as another process on the same store would.
func (w *world) serve() string {
	pages, err := ui.New(w.opts)
	must(w.t, err)
	server, err := api.New(api.Options{Store: w.Store, Access: access.Tokens{Store: w.Store}, UI: pages})
	must(w.t, err)
	s := httptest.NewServer(server)
	w.t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

func (w *world) release(version string) {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), version)
	must(w.t, os.WriteFile(path, []byte(version), 0o600))
	a, err := w.Admin.PutFile(w.t.Context(), path)
	must(w.t, err)
	_, err = w.Admin.Release(w.t.Context(), "shop", wire.Release{Version: version, Digest: a.Digest})
	must(w.t, err)
	phase := "baking"
	if version == "v1" { // there is nobody to protect yet
		phase = "succeeded"
	}
	w.until("shop", phase)
}

// until waits for a rollout to come to one of some phases.
func (w *world) until(which string, phases ...string) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		r, err := w.Admin.Rollout(w.t.Context(), which)
		must(w.t, err)
		for _, p := range phases {
			if p != "" && string(r.Rollout.Phase) == p {
				return
			}
		}
		if time.Now().After(end) {
			w.t.Fatalf("%s is %s, expected one of %q", which, r.Rollout.Phase, phases)
		}
	}
}

// browser is someone with a cookie jar.
type browser struct {
	t    *testing.T
	url  string
	http *http.Client
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	must(w.t, err)
	return &browser{w.t, w.url, &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// as is a browser in which someone has signed in.
func (w *world) as(r policy.Role) *browser {
	w.t.Helper()
	b := w.browser()
	if res, body := b.post("/sign-in", url.Values{"token": {w.Tokens[r]}}); res.StatusCode != http.StatusSeeOther {
		w.t.Fatalf("sign in as %s: %s\n%s", r, res.Status, body)
	}
	return b
}

func (b *browser) get(path string, headers ...string) (*http.Response, string) {
	b.t.Helper()
	return b.send(http.MethodGet, path, "", headers...)
}

// post sends a form as a page of this site does.
func (b *browser) post(path string, form url.Values, headers ...string) (*http.Response, string) {
	b.t.Helper()
	return b.send(http.MethodPost, path, form.Encode(), append([]string{"Sec-Fetch-Site", "same-origin"}, headers...)...)
}

func (b *browser) send(method, path, body string, headers ...string) (*http.Response, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	must(b.t, err)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := b.http.Do(req)
	must(b.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(b.t, err)
	return res, string(text)
}

var formRE = regexp.MustCompile(`name="form" value="([^"]+)"`)

// formToken reads the session's form token from a page.
func (b *browser) formToken() string {
	b.t.Helper()
	_, body := b.get("/")
	m := formRE.FindStringSubmatch(body)
	if m == nil {
		b.t.Fatalf("no form token in\n%s", body)
	}
	return m[1]
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
