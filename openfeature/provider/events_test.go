package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/track"
)

// intake is the API's end of events: the real one, and what a network may do to it.
type intake struct {
	*httptest.Server
	store *track.Store
	deaf  atomic.Bool  // answers nothing and takes nothing
	cut   atomic.Int64 // answers that are lost though everything was taken

	mu   sync.Mutex
	sent []event
	keys []string
}

func newIntake(t *testing.T) *intake {
	t.Helper()
	store, err := track.Open(t.Context(), track.Options{Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	i := &intake{store: store}
	real := store.Handler(track.KeysFunc(func(r *http.Request) (string, error) { return r.Header.Get("Ringfence-Environment"), nil }), nil)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if i.deaf.Load() {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		answer := httptest.NewRecorder()
		real.ServeHTTP(answer, r)
		i.note(r, body, answer.Code)
		if i.cut.Add(-1) >= 0 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(func() {
		i.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

func (i *intake) note(r *http.Request, body []byte, code int) {
	var b struct{ Events []event }
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, r.Header.Get("Idempotency-Key"))
	if code == http.StatusOK && json.Unmarshal(body, &b) == nil {
		i.sent = append(i.sent, b.Events...)
	}
}

// read is what an experiment would read.
func (i *intake) read(t *testing.T, flag, metric string) *track.Result {
	t.Helper()
	q := track.Query{Environment: "production", Flag: flag, Since: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}
	if metric != "" {
		q.Measure = track.Measure{Kind: experiment.Mean, Event: metric}
	}
	r, err := i.store.Summaries(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What users get and do arrives where experiments are read from.
func TestExposuresAndMetrics(t *testing.T) {
	in := newIntake(t)
	w, ctx := use(t, Options{URL: serve(t, nil).url(), Events: in.URL, Attributes: []string{"plan", "missing"}}), t.Context()
	want := map[string]int64{}
	for i := range 50 {
		about := user(fmt.Sprint("user-", i), map[string]any{"plan": "pro", "secret": "x"})
		for range 3 {
			d, err := w.BooleanValueDetails(ctx, "share", false, about)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.BooleanValue(ctx, "static", false, about); err != nil {
				t.Fatal(err)
			}
			want[d.Variant]++
		}
		w.Track(ctx, "revenue", about, openfeature.NewTrackingEventDetails(2.5).Add("id", fmt.Sprint("order-", i)).Add("sort", "book").Add("many", []string{"x"}))
		w.Track(ctx, "visit", about, openfeature.TrackingEventDetails{})
	}
	if _, err := w.BooleanValue(ctx, "share", false, openfeature.EvaluationContext{}); err != nil { // nobody's exposure
		t.Fatal(err)
	}
	if err := w.p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for variant, n := range in.read(t, "share", "").Exposed {
		if n*3 != want[variant] {
			t.Errorf("%s: %d users, expected %d/3", variant, n, want[variant])
		}
	}
	total := 0.0
	for _, v := range in.read(t, "share", "revenue").Variants {
		total += v.Mean[experiment.Value] * float64(v.N)
	}
	if math.Abs(total-125) > 1e-6 {
		t.Errorf("revenue %v, expected 50 times 2.5", total)
	}
	exposures := 0
	for _, e := range in.sent {
		switch {
		case e.Type == "exposure":
			if exposures++; e.Flag != "share" || e.Set != "shop" || len(e.Context) != 1 || e.Context["plan"] != "pro" {
				t.Fatalf("%+v", e)
			}
		case e.Metric == "revenue" && (!strings.HasPrefix(e.ID, "revenue/order-") || len(e.Context) != 1 || e.Context["sort"] != "book"):
			t.Fatalf("%+v", e)
		case e.Metric == "visit" && e.Value != nil:
			t.Fatalf("%+v", e)
		}
	}
	if exposures != 50 || w.p.Lost() != 0 {
		t.Errorf("%d exposures of 50 users, %d lost", exposures, w.p.Lost())
	}
}

// Events are repeated until the server has them, under the same name, and counted once.
func TestEventsSurviveTheNetwork(t *testing.T) {
	in := newIntake(t)
	in.cut.Store(1)
	w, ctx := use(t, Options{URL: serve(t, nil).url(), Events: in.URL, EventsInterval: time.Hour}), t.Context()
	for i := range 10 {
		w.Track(ctx, "order", user("ann", nil), openfeature.NewTrackingEventDetails(float64(i)))
	}
	if _, err := w.BooleanValue(ctx, "share", false, user("ann", nil)); err != nil {
		t.Fatal(err)
	}
	if err := w.p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if len(in.keys) < 2 || in.keys[0] != in.keys[1] || in.keys[0] == "" || in.keys[len(in.keys)-1] == in.keys[0] && len(in.keys) > 2 {
		t.Errorf("names %v", in.keys)
	}
	n := int64(0)
	for _, exposed := range in.read(t, "share", "").Exposed {
		n += exposed
	}
	used, err := in.store.Metrics(ctx, "production")
	if err != nil || n != 1 || len(used) != 1 || used[0].Flag != "order" {
		t.Errorf("%d exposed, %+v %v", n, used, err)
	}
	// What cannot be sent at shutdown is told, stays, and is sent by the next life.
	in.deaf.Store(true)
	w.Track(ctx, "late", user("ann", nil), openfeature.TrackingEventDetails{})
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := w.p.ShutdownWithContext(short); err == nil || !strings.Contains(err.Error(), "1 events were not sent") {
		t.Errorf("shutdown: %v", err)
	}
	in.deaf.Store(false)
	if err := w.p.InitWithContext(ctx, openfeature.EvaluationContext{}); err != nil {
		t.Fatal(err)
	}
	w.Track(ctx, "later", user("ann", nil), openfeature.TrackingEventDetails{})
	if err := w.p.ShutdownWithContext(ctx); err != nil { // flushes
		t.Fatal(err)
	}
	if !slices.ContainsFunc(in.sent, func(e event) bool { return e.Metric == "late" }) || !slices.ContainsFunc(in.sent, func(e event) bool { return e.Metric == "later" }) {
		t.Errorf("sent %+v", in.sent)
	}
}

// One event that the server refuses costs no other.
func TestWrongEventIsAlone(t *testing.T) {
	in := newIntake(t)
	w, ctx := use(t, Options{URL: serve(t, nil).url(), Events: in.URL, EventsInterval: time.Hour}), t.Context()
	for i := range 100 {
		w.Track(ctx, "order", user("ann", nil), openfeature.NewTrackingEventDetails(float64(i)))
	}
	w.p.queue.put(event{Type: "metric", Time: time.Now().Add(48 * time.Hour), Key: "ann", Metric: "order"})
	if err := w.p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if len(in.sent) != 100 || w.p.Lost() != 1 {
		t.Errorf("%d sent, %d lost", len(in.sent), w.p.Lost())
	}
	w.Track(ctx, "order", user("", nil), openfeature.TrackingEventDetails{})
	w.Track(ctx, strings.Repeat("x", 300), user("ann", nil), openfeature.TrackingEventDetails{})
	if w.p.Lost() != 3 {
		t.Errorf("%d lost", w.p.Lost())
	}
}

// A server that does not answer costs events, and no time.
func TestEventsNeverWait(t *testing.T) {
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer hung.Close()
	w, ctx := use(t, Options{URL: serve(t, nil).url(), Events: hung.URL, MaxEvents: 1000}), t.Context()
	begun := time.Now()
	for i := range 5000 {
		if _, err := w.BooleanValue(ctx, "share", false, user(fmt.Sprint(i), nil)); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("5,000 evaluations took %v", took)
	}
	if lost := w.p.Lost(); lost < 5000-1000-2*batchSize || lost > 4000 {
		t.Errorf("%d lost", lost)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if err := w.p.ShutdownWithContext(short); err == nil {
		t.Error("everything was sent to a server that hangs")
	}
	hung.CloseClientConnections()
}

// The caller may choose which evaluations are exposures.
func TestExposureHook(t *testing.T) {
	in := newIntake(t)
	w, ctx := use(t, Options{URL: serve(t, nil).url(), Events: in.URL, NoExposures: true}), t.Context()
	hook := w.p.ExposureHook()
	for who, options := range map[string][]openfeature.Option{"ann": {openfeature.WithHooks(hook)}, "bob": nil} {
		if _, err := w.BooleanValue(ctx, "share", false, user(who, nil), options...); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if len(in.sent) != 1 || in.sent[0].Key != "ann" {
		t.Errorf("%+v", in.sent)
	}
}

// Whoever uses a provider while others shut it down and start it is served, and hangs nowhere.
func TestSharedBetweenLives(t *testing.T) {
	glad := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer glad.Close()
	s := serve(t, nil)
	w, ctx := use(t, Options{URL: s.url(), Events: glad.URL, EventsInterval: time.Millisecond, MaxEvents: 100}), t.Context()
	var users sync.WaitGroup
	stop := make(chan struct{})
	for n := range 4 {
		users.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				who := user(fmt.Sprint(n, "-", i), nil)
				if _, err := w.BooleanValue(ctx, "share", false, who); err != nil {
					t.Error(err)
					return
				}
				w.Track(ctx, "did", who, openfeature.TrackingEventDetails{})
			}
		})
	}
	for i := range 20 {
		write(t, s.path, []string{shop, switched}[i%2])
		if err := w.p.ShutdownWithContext(ctx); err != nil {
			t.Error(err)
		}
		if err := w.p.InitWithContext(ctx, openfeature.EvaluationContext{}); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	users.Wait()
	if err := w.p.ShutdownWithContext(ctx); err != nil {
		t.Error(err)
	}
}
