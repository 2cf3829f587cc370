package app

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

func schemaAt(t *testing.T, url string) (int, liveSchema, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		t.Fatal(err)
	}
	var is liveSchema
	_ = json.Unmarshal(raw, &is)
	return resp.StatusCode, is, string(raw)
}

func TestProgramsAskForTheSchemaAndAreTold(t *testing.T) {
	p := newSchemaPage()
	s := httptest.NewServer(p)
	defer s.Close()
	shop := func(live ...string) []fleet.Service {
		return []fleet.Service{{Name: "blog"}, {Name: "shop", Schema: &fleet.Schema{Database: "people", Live: live}}}
	}
	url := s.URL + schemaPath + "shop?understands=public_01,public_02"
	if status, _, text := schemaAt(t, url); status != http.StatusNotFound || !strings.Contains(text, "no service") {
		t.Fatal(status, text)
	}
	p.set(shop("public_01"))
	_, first, _ := schemaAt(t, url)
	if first.Use != "public_01" || first.Database != "people" || first.Tag == "" {
		t.Fatalf("%+v", first)
	}
	if _, again, _ := schemaAt(t, url+"&wait=20ms&after="+first.Tag); again.Tag != first.Tag {
		t.Fatalf("nothing is new: %+v", again)
	}
	if _, at, _ := schemaAt(t, url+"&wait=60s&after=older"); at.Tag != first.Tag {
		t.Fatalf("who has something older is answered at once: %+v", at)
	}
	told := make(chan liveSchema, 1)
	go func() {
		_, is, _ := schemaAt(t, url+"&wait=60s&after="+first.Tag)
		told <- is
	}()
	for deadline := time.Now().Add(time.Minute); ; {
		p.mu.Lock()
		n := p.waiting
		p.mu.Unlock()
		if n == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody waits")
		}
		<-time.After(time.Millisecond)
	}
	p.set(shop("public_01")) // the same: nobody is woken
	p.set(shop("public_02", "public_01"))
	if is := <-told; is.Use != "public_02" || is.Tag == first.Tag {
		t.Fatalf("%+v", is)
	}
	going := shop("public_02", "public_01")
	going[1].Schema.Going = "public_02"
	p.set(going)
	if _, is, _ := schemaAt(t, url); is.Use != "public_01" {
		t.Errorf("what is about to go is not to be used: %+v", is)
	}
	for _, bad := range []string{"&wait=61s", "&wait=-1s", "&wait=long"} {
		if status, _, _ := schemaAt(t, url+bad); status != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, status)
		}
	}
	p.mu.Lock()
	p.waiting = schemaWaiters
	p.mu.Unlock()
	_, is, _ := schemaAt(t, url)
	if status, _, _ := schemaAt(t, url+"&wait=60s&after="+is.Tag); status != http.StatusServiceUnavailable {
		t.Errorf("one more than may wait: %d", status)
	}
}

// Whoever waits is let go when the data plane ends, or the program breaks off.
func TestWaitingEnds(t *testing.T) {
	p := newSchemaPage()
	s := httptest.NewServer(p)
	defer s.Close()
	p.set([]fleet.Service{{Name: "shop", Schema: &fleet.Schema{Database: "people", Live: []string{"public_01"}}}})
	_, first, _ := schemaAt(t, s.URL+schemaPath+"shop")
	url := s.URL + schemaPath + "shop?wait=60s&after=" + first.Tag
	ctx, cancel := context.WithCancel(t.Context())
	broken := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err == nil {
			_, err = http.DefaultClient.Do(req) //nolint:bodyclose // there is none
		}
		broken <- err
	}()
	waiting := func(want int) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; <-time.After(time.Millisecond) {
			p.mu.Lock()
			n := p.waiting
			p.mu.Unlock()
			if n == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d wait, want %d", n, want)
			}
		}
	}
	waiting(1)
	cancel()
	if err := <-broken; err == nil {
		t.Fatal("it was answered")
	}
	waiting(0)
	done := make(chan liveSchema, 1)
	go func() { _, is, _ := schemaAt(t, url); done <- is }()
	waiting(1)
	p.close()
	if is := <-done; is.Tag != first.Tag {
		t.Errorf("%+v", is)
	}
}
