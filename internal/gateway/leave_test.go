package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// An instance of a version that stays is drained by itself: the others' requests do not hold it up.
func TestDrainOfOneInstance(t *testing.T) {
	release := make(chan struct{})
	busy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer busy.Close()
	ep := func(id, url string) fleet.Endpoint {
		return fleet.Endpoint{Service: "shop", Version: "v1", ID: id, Address: strings.TrimPrefix(url, "http://")}
	}
	g := New(Options{})
	one, two := ep("shop/v1/1", busy.URL), ep("shop/v1/2", "http://127.0.0.1:1")
	g.SetEndpoints("shop", "v1", []fleet.Endpoint{one})
	if err := g.Apply(t.Context(), []fleet.Service{{Name: "shop", Rings: []fleet.Ring{{Name: "all"}}, Exposure: []string{"v1"}}}); err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	go func() {
		w := httptest.NewRecorder()
		g.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://shop/", nil))
		answered <- w.Code
	}()
	deadline := time.Now().Add(time.Minute)
	for g.InFlight("shop", "v1") == 0 && time.Now().Before(deadline) {
		<-time.After(time.Millisecond)
	}
	g.SetEndpoints("shop", "v1", []fleet.Endpoint{two})
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if g.DrainEndpoint(short, one, time.Minute); short.Err() == nil {
		t.Fatal("drained with a request in flight")
	}
	g.SetEndpoints("shop", "v1", []fleet.Endpoint{one})
	g.SetEndpoints("shop", "v1", []fleet.Endpoint{two})
	close(release)
	if code := <-answered; code != http.StatusOK {
		t.Errorf("the request in flight was answered %d", code)
	}
	g.DrainEndpoint(t.Context(), one, time.Minute) // returns at once
	if len(g.left) != 0 {
		t.Errorf("%d instances are still remembered", len(g.left))
	}
}

// A plain request holds an instance up no longer than the limit.
func TestDrainHasALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Options{})
		ep := fleet.Endpoint{Service: "shop", Version: "v1", ID: "shop/v1/1", Address: "127.0.0.1:1"}
		g.SetEndpoints("shop", "v1", []fleet.Endpoint{ep})
		stuck := (*g.versions[versionKey{"shop", "v1"}].endpoints.Load())[0]
		stuck.inFlight.Add(1)
		g.SetEndpoints("shop", "v1", nil)
		began := time.Now()
		g.DrainEndpoint(t.Context(), ep, 30*time.Second)
		if took := time.Since(began); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("drained after %s", took)
		}
	})
}
