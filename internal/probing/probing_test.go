package probing

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/metric"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/synthetic"
)

// world is what a board meets.
type world struct {
	declared []Declared
	events   []string
	alerts   map[string]alert.Alert // that were last sent, by name and service or probe
	away     bool                   // nobody takes alerts
	file     []byte
	now      time.Time
	samples  int
}

func (w *world) Probes(context.Context) ([]Declared, error) { return w.declared, nil }

func (w *world) Write(_ context.Context, s []metric.Sample) ([]metric.Refusal, error) {
	w.samples += len(s)
	return nil, nil
}

func (w *world) Record(_ context.Context, all []audit.Event) error {
	for _, e := range all {
		w.events = append(w.events, e.Type+" "+e.Subject)
	}
	return nil
}

func (w *world) Send(_ context.Context, all []alert.Alert) error {
	if w.away {
		return errors.New("away")
	}
	slices.SortStableFunc(all, func(x, y alert.Alert) int { return y.EndsAt.Compare(x.EndsAt) }) // what is over first: the key has no severity
	for _, a := range all {
		key := strings.TrimSpace(a.Labels[alert.Name] + " " + a.Labels[alert.Service] + a.Labels["probe"] + a.Labels["prober"])
		if delete(w.alerts, key); a.EndsAt.IsZero() {
			w.alerts[key] = a
		}
	}
	return nil
}

func (w *world) Load() ([]byte, error) { return w.file, nil }
func (w *world) Save(b []byte) error   { w.file = b; return nil }

func (w *world) board(t *testing.T) *Board {
	t.Helper()
	b := &Board{Catalog: w, Metrics: w, Alerts: w, Record: w, Disk: w, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return w.now }}
	if err := b.Open(); err != nil {
		t.Fatal(err)
	}
	b.Refresh(t.Context())
	return b
}

func declared(name, service string, versions ...string) Declared {
	d := Declared{Name: name, Spec: resource.Probe{Service: service, Every: fleet.Dur(10 * time.Second), HTTP: &resource.ProbeRequest{}}.Defaults()}
	for _, v := range versions {
		d.Targets = append(d.Targets, synthetic.Target{Version: v, Address: "127.0.0.1:1"})
	}
	if len(versions) == 2 {
		d.Pairs = [2]string{versions[1], versions[0]}
	}
	return d
}

func newWorld(all ...Declared) *world {
	return &world{declared: all, alerts: map[string]alert.Alert{}, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

// round lets the control plane's prober see versions of a probe, as "v1+" or "v2-".
func (w *world) round(t *testing.T, b *Board, probe string, saw ...string) {
	t.Helper()
	w.now = w.now.Add(10 * time.Second)
	var all []synthetic.Round
	for _, s := range saw {
		all = append(all, synthetic.Round{Probe: probe, Version: s[:len(s)-1], At: w.now, OK: strings.HasSuffix(s, "+"), Seconds: 0.1, Reason: "answered 500"})
	}
	if _, err := b.Take(t.Context(), resource.ControlProber, all, 0); err != nil {
		t.Fatal(err)
	}
	b.tell(t.Context())
}

func TestOneAlertForAService(t *testing.T) {
	w := newWorld(declared("home", "shop", "v1", "v2"), declared("cart", "shop", "v1", "v2"), declared("else", "", ""))
	b := w.board(t)
	for range 2 {
		w.round(t, b, "home", "v1+", "v2-")
		w.round(t, b, "cart", "v1+", "v2-")
		w.round(t, b, "else", "+")
	}
	a, ok := w.alerts["ProbeFails shop"]
	if len(w.alerts) != 1 || !ok || a.Labels[alert.Version] != "v2" || !strings.Contains(a.Annotations[alert.Summary], "cart of v2; home of v2") && !strings.Contains(a.Annotations[alert.Summary], "home of v2") {
		t.Fatalf("%+v", w.alerts)
	}
	if !slices.Equal(w.events, []string{"probe.down probe/home", "probe.down probe/cart"}) {
		t.Errorf("%v", w.events)
	}
	began := a.StartsAt
	w.away = true
	for range 2 {
		w.round(t, b, "home", "v1+", "v2+")
		w.round(t, b, "cart", "v1+", "v2+")
	}
	if w.away = false; len(w.alerts) != 1 {
		t.Error("who was away knows that it is over")
	}
	b.save()
	b = w.board(t) // after a restart
	if again := b.alerts["service shop"]; again == nil || !again.Alert.StartsAt.Equal(began) || !again.Over {
		t.Errorf("%+v", b.alerts)
	}
	b.tell(t.Context())
	if len(w.alerts) != 0 || len(w.events) != 4 || w.samples == 0 {
		t.Errorf("%v, %v, %d samples", w.alerts, w.events, w.samples)
	}
}

// TestWhatIsElsewhereIsNamed: a service whose probes of itself are well, and whose name server does not answer, is told with that as the cause.
func TestWhatIsElsewhereIsNamed(t *testing.T) {
	names := declared("name-server", "shop", "")
	names.Spec.Target, names.Spec.Address = resource.AtAddress, "192.0.2.1:53"
	for _, itself := range []bool{false, true} {
		w := newWorld(names, declared("home", "shop", ""))
		b := w.board(t)
		for range 3 {
			if itself {
				w.round(t, b, "home", "-")
			}
			w.round(t, b, "name-server", "-")
		}
		a, ok := w.alerts["ProbeFails shop"]
		if got := a.Labels["dependency"] == "name-server" && a.Labels["cause"] == "dependency"; !ok || got == itself {
			t.Errorf("the service itself fails: %v, and the alert says %v", itself, a.Labels)
		}
	}
}

func TestSilenceResolvesNothing(t *testing.T) {
	w := newWorld(declared("home", "shop", "v1"))
	b := w.board(t)
	w.round(t, b, "home", "v1-")
	w.round(t, b, "home", "v1-")
	w.now = w.now.Add(time.Hour)
	b.decide(t.Context())
	b.tell(t.Context())
	st, err := b.Show("home")
	if err != nil || st.State != synthetic.Down || st.Versions[0].Vote.State != synthetic.Unknown || len(w.alerts) != 2 { // the prober is silent, too
		t.Errorf("%+v, %v, %v", st, err, w.alerts)
	}
	w.declared[0].Unseen, w.declared[0].Targets = true, nil // a data plane that does not report
	b.Refresh(t.Context())
	b.tell(t.Context())
	if _, ok := w.alerts["ProbeFails shop"]; !ok {
		t.Error("what cannot be looked at is taken to be well")
	}
	w.declared[0].Unseen, w.declared[0].Targets = false, []synthetic.Target{{Version: "v2"}} // v1 runs no more
	b.Refresh(t.Context())
	b.tell(t.Context())
	if _, ok := w.alerts["ProbeFails shop"]; ok {
		t.Error("a version that runs no more is told of")
	}
}

func TestAStormIsOneAlert(t *testing.T) {
	w := newWorld()
	names := []string{"a", "b", "c", "d", "e"}
	for _, n := range names {
		w.declared = append(w.declared, declared(n, n, "v1"))
	}
	b := w.board(t)
	w.now = w.now.Add(10 * time.Second)
	for range 2 {
		w.now = w.now.Add(10 * time.Second)
		var all []synthetic.Round
		for _, n := range names {
			all = append(all, synthetic.Round{Probe: n, Version: "v1", At: w.now})
		}
		if _, err := b.Take(t.Context(), resource.ControlProber, all, 0); err != nil {
			t.Fatal(err)
		}
		b.tell(t.Context())
	}
	if a, ok := w.alerts[AlertStorm]; len(w.alerts) != 1 || !ok || a.Labels[alert.Severity] != alert.Paging {
		t.Errorf("%+v", w.alerts)
	}
	for _, n := range names[:4] {
		w.round(t, b, n, "v1+")
	}
	if _, ok := w.alerts["ProbeFails e"]; len(w.alerts) != 1 || !ok {
		t.Errorf("%+v", w.alerts)
	}
}

func TestQuietAndCertificates(t *testing.T) {
	w := newWorld(declared("home", "shop", "v1"))
	b := w.board(t)
	w.declared[0].Quiet = "maintenance"
	b.Refresh(t.Context())
	w.round(t, b, "home", "v1-")
	w.round(t, b, "home", "v1-")
	if len(w.alerts) != 0 || len(w.events) != 1 {
		t.Errorf("%v, %v", w.alerts, w.events)
	}
	w.declared[0].Quiet = ""
	b.Refresh(t.Context())
	w.round(t, b, "home", "v1+")
	see := func(left time.Duration) {
		w.now = w.now.Add(10 * time.Second)
		if _, err := b.Take(t.Context(), resource.ControlProber, []synthetic.Round{{Probe: "home", Version: "v1", At: w.now, OK: true, Expires: w.now.Add(left)}}, 0); err != nil {
			t.Fatal(err)
		}
		b.tell(t.Context())
	}
	see(30 * 24 * time.Hour)
	if len(w.alerts) != 0 {
		t.Errorf("%v", w.alerts)
	}
	see(10 * 24 * time.Hour)
	if a := w.alerts["CertificateExpires shophome"]; a.Labels[alert.Severity] != alert.Ticket || w.events[len(w.events)-1] != "probe.certificate probe/home" {
		t.Errorf("%v, %v", w.alerts, w.events)
	}
	see(time.Hour)
	if a := w.alerts["CertificateExpires shophome"]; a.Labels[alert.Severity] != alert.Paging {
		t.Errorf("%v", w.alerts)
	}
	see(60 * 24 * time.Hour)
	if len(w.alerts) != 0 {
		t.Errorf("%v", w.alerts)
	}
}

// Who is not named has no vote, and what is from another time is not taken.
func TestWhoMayTell(t *testing.T) {
	w := newWorld(declared("home", "shop", "v1"))
	b := w.board(t)
	take := func(prober string, at time.Time, seconds float64) int {
		n, err := b.Take(t.Context(), prober, []synthetic.Round{{Probe: "home", Version: "v1", At: at, Seconds: seconds}, {Probe: "none", At: at}}, 0)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for what, n := range map[string]int{"stranger": take("paris", w.now, 1), "future": take("control", w.now.Add(time.Hour), 1), "past": take("control", w.now.Add(-48*time.Hour), 1), "nonsense": take("control", w.now, -1)} {
		if n != 0 {
			t.Errorf("%s is taken", what)
		}
	}
	if take("control", w.now, 1) != 1 || take("control", w.now, 1) != 0 {
		t.Error("a round counts once")
	}
}

func TestGate(t *testing.T) {
	w := newWorld(declared("home", "shop", "v1", "v2"))
	b := w.board(t)
	ask := func() health.Reading { return b.Judge(resource.ProbeGate{Name: "home"}, "shop", "v2", "v1") }
	if r := ask(); r.Verdict != health.Hold {
		t.Errorf("%+v", r)
	}
	for range 12 {
		w.round(t, b, "home", "v1+", "v2+")
	}
	if r := ask(); r.Verdict != health.Pass {
		t.Errorf("%+v", r)
	}
	w.round(t, b, "home", "v1+", "v2-")
	w.round(t, b, "home", "v1+", "v2-")
	if r := ask(); r.Verdict != health.Fail || !strings.Contains(r.Text, "v2 is down") {
		t.Errorf("%+v", r)
	}
	if r := b.Judge(resource.ProbeGate{Name: "home"}, "other", "v2", "v1"); r.Verdict != health.Hold {
		t.Errorf("%+v", r)
	}
}

// looker counts what it is asked to look at.
type looker struct {
	mu   sync.Mutex
	at   map[string][]time.Time
	slow time.Duration
}

func (l *looker) Run(ctx context.Context, job synthetic.Job) []synthetic.Round {
	l.mu.Lock()
	l.at[job.Probe] = append(l.at[job.Probe], time.Now())
	l.mu.Unlock()
	pause(ctx, l.slow)
	return []synthetic.Round{{Probe: job.Probe, At: time.Now()}}
}

func (l *looker) Jobs(context.Context) ([]synthetic.Job, error) {
	spec := resource.Probe{Address: "x:1", Every: fleet.Dur(10 * time.Second), TCP: &resource.TCPProbe{}}.Defaults()
	return []synthetic.Job{{Probe: "a", Spec: spec}, {Probe: "b", Spec: spec}}, nil
}

func TestLoopKeepsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &looker{at: map[string][]time.Time{}, slow: time.Second}
		ctx, cancel := context.WithTimeout(t.Context(), 101*time.Second)
		defer cancel()
		seen := 0
		loop := &Loop{Name: "control", Runner: l, Work: l, Logger: slog.New(slog.DiscardHandler), Take: func(_ context.Context, r []synthetic.Round) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if seen += len(r); r[0].Prober != "control" {
				t.Error(r[0].Prober)
			}
		}}
		if err := loop.Run(ctx); err != nil {
			t.Fatal(err)
		}
		for name, at := range l.at {
			if len(at) < 10 || len(at) > 12 {
				t.Errorf("%s was looked at %d times in 101 s", name, len(at))
			}
			for i := 2; i < len(at); i++ {
				if d := at[i].Sub(at[i-1]); d < 9*time.Second || d > 12*time.Second {
					t.Errorf("%s: %s between rounds", name, d)
				}
			}
		}
	})
}

// While nobody takes rounds a bounded number is kept, the newest; all of them come, once and in order, when somebody does again.
func TestOutbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []float64
		var lost int64
		away := true
		o := &Outbox{Most: 1000, Logger: slog.New(slog.DiscardHandler), Push: func(_ context.Context, rounds []synthetic.Round, dropped int64) error {
			if away {
				return errors.New("away")
			}
			for _, r := range rounds {
				got = append(got, r.Seconds)
			}
			lost += dropped
			return nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { _ = o.Run(ctx); close(done) }()
		for i := range 1500 {
			o.Add(ctx, []synthetic.Round{{Seconds: float64(i)}})
		}
		time.Sleep(time.Hour)
		away = false
		time.Sleep(time.Minute)
		synctest.Wait()
		cancel()
		<-done
		if len(got) != 1000 || got[0] != 500 || got[999] != 1499 || !slices.IsSorted(got) || lost != 500 {
			t.Errorf("%d came, %d are said to be lost", len(got), lost)
		}
	})
}
