package api_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/test/plane"
)

func record(t *testing.T, p *plane.Plane, typ, subject string) {
	t.Helper()
	e, err := audit.New(time.Now(), typ, "system:test", subject, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Store.Commit(t.Context(), store.Write{Events: []audit.Event{e}}); err != nil {
		t.Fatal(err)
	}
}

// Every event comes once and in order, however often the connection breaks.
func TestFollowingOutlivesConnections(t *testing.T) {
	p := plane.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	const events = 60
	next := int64(-1)
	n := 0
	record(t, p, "test.happened", "test/x")
	for e, err := range p.Viewer.Follow(ctx, 0, "test/x", "test.") {
		if err != nil {
			t.Fatal(err)
		}
		if next >= 0 && e.Seq <= next {
			t.Fatalf("event %d after %d", e.Seq, next)
		}
		next = e.Seq
		if n++; n == events {
			break
		}
		if n%20 == 0 {
			p.Interrupt()
		}
		record(t, p, "test.happened", "test/x")
		record(t, p, "other.happened", "test/x") // filtered out
	}
	if n != events {
		t.Errorf("%d of %d events came", n, events)
	}
}

func TestStreamsBeginWhereTheyAreAskedTo(t *testing.T) {
	p := plane.Start(t)
	for range 3 {
		record(t, p, "test.happened", "test/x")
	}
	all, err := p.Viewer.Events(t.Context(), wire.EventQuery{})
	if err != nil {
		t.Fatal(err)
	}
	last := all.Items[len(all.Items)-1].Seq
	for _, last := range []int64{last - 1, last - 2} {
		got := 0
		for e, err := range p.Viewer.Follow(t.Context(), last, "", "") {
			if err != nil || e.Seq != last+1 {
				t.Errorf("after %d: %d, %v", last, e.Seq, err)
			}
			got++
			break
		}
		if got != 1 {
			t.Errorf("nothing after %d", last)
		}
	}
}

func TestPagesOfEvents(t *testing.T) {
	p := plane.Start(t)
	for range 7 {
		record(t, p, "test.happened", "test/x")
	}
	for _, newest := range []bool{false, true} {
		q := wire.EventQuery{Subject: "test/x", Limit: 3, Newest: newest}
		var seqs []int64
		for {
			page, err := p.Viewer.Events(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Items {
				seqs = append(seqs, e.Seq)
			}
			if page.Next == 0 {
				break
			}
			if q.After = page.Next; newest {
				q.After, q.Before = 0, page.Next
			}
		}
		if len(seqs) != 7 {
			t.Errorf("newest %v: %v", newest, seqs)
		}
	}
}

// The long poll answers at once when there is something new, and with nothing when there is not.
func TestDesired(t *testing.T) {
	p := plane.Start(t)
	_, tag, err := p.DataPlane.Desired(t.Context(), "elsewhere", "", 0)
	if err != nil || tag == "" {
		t.Fatal(tag, err)
	}
	if _, same, err := p.DataPlane.Desired(t.Context(), "elsewhere", tag, 10*time.Millisecond); err != nil || same != tag {
		t.Errorf("unchanged: %s, %v", same, err)
	}
	apply(t, p.Admin, plane.Shop)
	_, tag, err = p.DataPlane.Desired(t.Context(), "local", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		d, _, err := p.DataPlane.Desired(t.Context(), "local", tag, 10*time.Second)
		if err != nil || len(d.Services) != 1 || d.Services[0].Slots[0].Version != "v1" {
			t.Errorf("after a release: %+v, %v", d, err)
		}
	})
	if _, err := p.Admin.Release(t.Context(), "shop", release(t, p, "v1")); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	for path, body := range map[string]string{
		"/v1/units/local/observed": `{"unit":"other"}`, "/v1/units/x/observed": `[]`,
	} {
		if res, said := request(t, p, policy.DataPlane, http.MethodPost, path, body, nil); res.StatusCode/100 != 4 {
			t.Errorf("%s %s: %s %s", path, body, res.Status, said)
		}
	}
	newer := `{"unit":"new","time":"2026-01-01T00:00:00Z","services":[{"name":"a","generation":1,"slots":null,"unheardOf":true}]}`
	if res, said := request(t, p, policy.DataPlane, http.MethodPost, "/v1/units/new/observed", newer, nil); res.StatusCode != http.StatusNoContent {
		t.Errorf("a newer data plane: %s %s", res.Status, said)
	}
}

func TestASecondDataPlaneOfAUnitIsRefused(t *testing.T) {
	p := plane.Start(t)
	as := func(id string) *client.Client {
		return client.New(client.Options{URL: p.URL, Token: p.Tokens[policy.DataPlane], Plane: id, Patience: -1})
	}
	if err := as("first").Report(t.Context(), fleet.Observed{Unit: "mine", Admin: "http://first"}); err != nil {
		t.Fatal(err)
	}
	second := as("second")
	err := second.Report(t.Context(), fleet.Observed{Unit: "mine", Admin: "http://second"})
	if !errs.Is(err, errs.Conflict) || !strings.Contains(errs.HintOf(err), "--unit") {
		t.Errorf("its report: %v", err)
	}
	if _, _, err := second.Desired(t.Context(), "mine", "", 0); !errs.Is(err, errs.Conflict) {
		t.Errorf("its question: %v", err)
	}
	if _, _, err := as("first").Desired(t.Context(), "mine", "", 0); err != nil {
		t.Errorf("the first one's: %v", err)
	}
	if err := second.Report(t.Context(), fleet.Observed{Unit: "other"}); err != nil {
		t.Errorf("with a unit of its own: %v", err)
	}
}

func TestArtifactsAreWhatTheirDigestsSay(t *testing.T) {
	p := plane.Start(t)
	path := "/v1/artifacts/sha256:" + strings.Repeat("0", 64)
	if res, said := request(t, p, policy.Admin, http.MethodPut, path, "content", nil); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("another digest: %s %s", res.Status, said)
	}
	digest := artifact(t, p.Admin, "content")
	if again := artifact(t, p.Admin, "content"); again != digest {
		t.Errorf("put twice: %s and %s", digest, again)
	}
	if res, said := request(t, p, policy.DataPlane, http.MethodGet, "/v1/artifacts/"+digest, "", nil); res.StatusCode != http.StatusOK || said != "content" {
		t.Errorf("%s %s", res.Status, said)
	}
	if res, said := request(t, p, policy.DataPlane, http.MethodGet, path, "", nil); res.StatusCode != http.StatusNotFound || !strings.Contains(said, "shared by all control planes") {
		t.Errorf("an unknown one: %s %s", res.Status, said)
	}
}

func TestConditionalRequests(t *testing.T) {
	p := plane.Start(t)
	apply(t, p.Admin, plane.Shop)
	const path = "/v1/resources/services/shop"
	res, _ := request(t, p, policy.Viewer, http.MethodGet, path, "", nil)
	tag := res.Header.Get("ETag")
	if res, body := request(t, p, policy.Viewer, http.MethodGet, path, "", http.Header{"If-None-Match": {tag}}); res.StatusCode != http.StatusNotModified || body != "" {
		t.Errorf("%s %q", res.Status, body)
	}
	if res, _ := request(t, p, policy.Admin, http.MethodDelete, path, "", http.Header{"If-Match": {`"x"`}}); res.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("delete of another state: %s", res.Status)
	}
	if res, _ := request(t, p, policy.Admin, http.MethodDelete, path, "", http.Header{"If-Match": {tag}}); res.StatusCode != http.StatusNoContent {
		t.Errorf("delete: %s", res.Status)
	}
}

func TestMethodsAndPaths(t *testing.T) {
	p := plane.Start(t)
	res, _ := request(t, p, policy.Admin, http.MethodPost, "/v1/whoami", "", nil)
	if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("%s, Allow %q", res.Status, res.Header.Get("Allow"))
	}
	for path, want := range map[string]string{"/api/v1/query": "metrics", "/": "page", "/ui/x": "page", "/healthz": "ok\n", "/readyz": "ready\n"} {
		if _, body := request(t, p, policy.Viewer, http.MethodGet, path, "", nil); body != want {
			t.Errorf("%s: %q", path, body)
		}
	}
	if res, body := request(t, p, policy.Admin, http.MethodGet, "/v1/events?limit=0&suject=x", "", nil); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "suject") {
		t.Errorf("a misspelt parameter: %s %s", res.Status, body)
	}
}

// TestAStreamEndsWithItsToken: what was open when a token was revoked does not stay open.
func TestAStreamEndsWithItsToken(t *testing.T) {
	p := plane.Start(t)
	made, err := p.Admin.CreateToken(t.Context(), wire.NewToken{Name: "ann", Role: policy.Viewer})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+"/v1/events/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+made.Secret)
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res, err)
	}
	defer res.Body.Close()
	if _, err := p.Admin.RevokeToken(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, res.Body); ended <- err }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("a minute after its token was revoked, the stream is open")
	}
}
