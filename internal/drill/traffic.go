package drill

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// traffic is the users of all services: they come when they come, however slow the answers are, and leave after a while.
type traffic struct {
	run    *run
	client *http.Client
}

const (
	perSecond = 20
	users     = 400
	employees = 80
	tenants   = 40
	ramp      = 20 * time.Second
	tired     = 4 * time.Second // when a user leaves
)

func newTraffic(r *run) *traffic {
	return &traffic{run: r, client: &http.Client{Timeout: tired, Transport: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: 20 * time.Second, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// goOn sends requests until ctx ends.
func (t *traffic) goOn(ctx context.Context) {
	var wg sync.WaitGroup
	for _, trial := range t.run.faults {
		wg.Go(func() { t.to(ctx, trial) })
	}
	wg.Wait()
	t.client.CloseIdleConnections()
}

// to sends requests to one service.
func (t *traffic) to(ctx context.Context, trial *trial) {
	var wg sync.WaitGroup
	defer wg.Wait()
	begun := time.Now()
	for next := begun; ctx.Err() == nil; {
		rate := perSecond * min(1, 0.1+next.Sub(begun).Seconds()/ramp.Seconds()) // they come one by one at first
		next = next.Add(time.Duration(rand.ExpFloat64() / rate * float64(time.Second)))
		if sleep(ctx, time.Until(next)) != nil {
			return
		}
		if !trial.quiet.Load() {
			wg.Go(func() { t.send(context.WithoutCancel(ctx), trial) })
		}
	}
}

func (t *traffic) send(ctx context.Context, trial *trial) {
	method, path, body := http.MethodGet, "/products", ""
	switch p := rand.Float64(); {
	case p < 0.3:
		path = "/app"
	case p < 0.5:
		method, path, body = http.MethodPost, "/cart", `{"id":1,"name":"Kettle","price":39.9}`
	case p < 0.75:
		method, path, body = http.MethodPost, "/checkout", "{}"
	}
	gateway := t.run.rig.gateway
	if trial.spec.unit == smallUnit {
		gateway = t.run.rig.small
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+gateway+path, strings.NewReader(body))
	if err != nil {
		return
	}
	n := rand.IntN(users)
	user := fmt.Sprintf("u%d@customers.example", n)
	if n < employees {
		user = fmt.Sprintf("u%d@shop.example", n)
	}
	tenant := fmt.Sprintf("t%d", n%tenants)
	if n%33 == 7 { // one of thirty
		tenant = "acme"
	}
	req.Host = trial.service + ".localhost"
	req.Header.Set("X-User-ID", user)
	req.Header.Set("X-Tenant", tenant)
	page := path == "/app"
	if page {
		req.Header.Set("Accept", "text/html")
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	if err == nil && page && trial.spec.pages && resp.StatusCode == http.StatusOK {
		t.browse(ctx, req, resp.Header.Get("Server-Timing"))
	}
}

// browse does what a browser does with a page: it runs its script, and tells how that went.
func (t *traffic) browse(ctx context.Context, page *http.Request, timing string) {
	had, _, _ := strings.Cut(strings.TrimPrefix(timing, `rf;desc="`), `"`)
	version, ring, _ := strings.Cut(had, ";")
	ring, _, _ = strings.Cut(ring, ";")
	script, err := t.ask(ctx, page, http.MethodGet, "/app.js", "")
	if err != nil {
		return
	}
	errors := ""
	if strings.Contains(script, "shop.open()") { // there is no shop
		errors = `,"e":[{"k":"error","m":"shop is not defined","s":"/app.js:1:1","n":1}]`
	}
	_, _ = t.ask(ctx, page, http.MethodPost, "/.ringfence/rum", fmt.Sprintf(`{"p":"/app","n":1,"v":%q,"r":%q,"m":{"lcp":900}%s}`, version, ring, errors))
}

// ask asks for something else as the user of a request.
func (t *traffic) ask(ctx context.Context, like *http.Request, method, path, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+like.URL.Host+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Host = like.Host
	req.Header.Set("X-User-ID", like.Header.Get("X-User-ID"))
	resp, err := t.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	return string(b), err
}
