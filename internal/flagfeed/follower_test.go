package flagfeed

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
)

// world is everything around a follower, as it is told to be.
type world struct {
	t *testing.T

	mu      sync.Mutex
	feed    flag.Feed
	away    error
	broken  error
	changed chan struct{}
	disk    []byte
	saves   int
	asked   int
	shown   *flag.Snapshot
	ramps   []fleet.Service
	refuse  error
	told    int
}

func newWorld(t *testing.T) *world { return &world{t: t, changed: make(chan struct{})} }

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) questions() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}

func (w *world) Feed(ctx context.Context, env, have string, wait time.Duration) (flag.Feed, error) {
	timeout := time.After(wait)
	for {
		w.mu.Lock()
		feed, away, changed := w.feed, w.away, w.changed
		w.asked++
		w.mu.Unlock()
		if away != nil {
			return flag.Feed{}, away
		}
		if feed.Version != have {
			feed.Environment = env
			return feed, nil
		}
		select {
		case <-changed:
		case <-timeout:
			return flag.Feed{Environment: env, Version: have}, nil
		case <-ctx.Done():
			return flag.Feed{}, ctx.Err()
		}
	}
}

func (w *world) SetRamps(s []fleet.Service) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ramps = s
	return w.refuse
}

func (w *world) RampStatuses() []fleet.ServiceStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []fleet.ServiceStatus
	for _, s := range w.ramps {
		all = append(all, fleet.ServiceStatus{Name: s.Name, Generation: s.Generation})
	}
	return all
}

func (w *world) Set(env string, s *flag.Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if env != "production" {
		w.t.Errorf("served to %s", env)
	}
	w.shown = s
}

func (w *world) Save(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.saves++
	if w.broken == nil {
		w.disk = b
	}
	return w.broken
}

func (w *world) Load() ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.disk, w.broken
}

// follow starts a follower as a program that starts does, until the end of the test or until it is stopped.
func (w *world) follow() (f *Follower, stop func()) {
	f = New(Options{Control: w, Gateway: w, Served: w, Disk: w, Logger: slog.New(slog.DiscardHandler), Changed: func() {
		w.mu.Lock()
		w.told++
		w.mu.Unlock()
	}})
	f.Restore()
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f.Run(ctx); err != nil {
			w.t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	w.t.Cleanup(stop)
	synctest.Wait()
	return f, stop
}

// sees is the value of a flag, as users get it.
func (w *world) sees(key, want string) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	got := "nothing is served"
	if w.shown != nil {
		r := w.shown.All().Evaluate(key, &exposure.Context{TargetingKey: "ann"})
		got, _ = r.Value.(string)
		if r.Code != "" {
			got = string(r.Code)
		}
	}
	if got != want {
		w.t.Errorf("flag %s: %s, want %s", key, got, want)
	}
}

// acknowledges is the generation that is told of an exposure, -1 when it is not told of.
func acknowledges(t *testing.T, f *Follower, name string, want int64) {
	t.Helper()
	synctest.Wait()
	got := int64(-1)
	for _, s := range f.Statuses() {
		if s.Name == name {
			got = s.Generation
		}
	}
	if got != want {
		t.Errorf("%s is acknowledged with %d, want %d", name, got, want)
	}
}

const subject = "flag:web:color"

// red is a feed in which the flag color of set web has a value, and an exposure of a generation.
func valued(value string, generation int64) flag.Feed {
	raw, _ := json.Marshal(map[string]any{"flags": map[string]any{"color": map[string]any{
		"state": "ENABLED", "variants": map[string]any{"a": value}, "defaultVariant": "a"}}})
	return flag.Feed{Environment: "production", Keys: []flag.Key{{Name: value, Hash: flag.HashKey("rff_" + value)}}, Version: value + strconv.FormatInt(generation, 10), Sets: []flag.FedSet{{Name: "web", Raw: raw}},
		Ramps: []fleet.Service{{Name: subject, Generation: generation}}}
}

func TestWhatIsToldIsServedSavedAndAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.feed = valued("red", 1)
		f, _ := w.follow()
		w.sees("color", "red")
		acknowledges(t, f, subject, 1)
		acknowledges(t, f, flag.Mark("production"), 0)
		w.set(func() { w.feed = valued("blue", 2) })
		w.sees("color", "blue")
		acknowledges(t, f, subject, 2)
		if w.told != 2 {
			t.Errorf("reported %d times, want 2", w.told)
		}
		time.Sleep(time.Minute)
		if w.saves != 2 || w.questions() > 8 {
			t.Errorf("%d saves and %d questions when little happens", w.saves, w.questions())
		}
	})
}

// A program that starts with the control plane dead serves what it served last, and follows again when it is back.
func TestRestartWithTheControlPlaneDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.feed = valued("red", 7)
		_, stop := w.follow()
		w.sees("color", "red")
		stop()
		w.set(func() { w.away, w.shown, w.ramps = errs.E(errs.Unavailable, "connection refused"), nil, nil })
		f, _ := w.follow()
		w.sees("color", "red")
		acknowledges(t, f, subject, 7)
		keys, _ := f.Keys()
		if _, err := keys.Check("rff_red"); err != nil {
			t.Errorf("the key of who may ask: %v", err)
		}
		time.Sleep(time.Hour)
		w.sees("color", "red")
		if _, _, trouble, _ := f.State(); trouble == "" {
			t.Error("nobody is told that the control plane is away")
		}
		w.set(func() { w.away, w.feed = nil, valued("blue", 8) })
		time.Sleep(2 * time.Second)
		w.sees("color", "blue")
		acknowledges(t, f, subject, 8)
		if _, _, trouble, _ := f.State(); trouble != "" {
			t.Errorf("it is there again, but: %s", trouble)
		}
	})
}

// No emptied database changes what users are shown. A set that is deleted goes.
func TestAnEmptiedDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.feed = valued("red", 7)
		_, stop := w.follow()
		w.sees("color", "red")
		w.set(func() { w.feed = flag.Feed{Version: "blank", Blank: true} })
		time.Sleep(time.Hour)
		w.sees("color", "red")
		if w.questions() > 400 {
			t.Errorf("asked %d times in an hour", w.questions())
		}
		stop()
		_, stop = w.follow() // restarted beside it
		time.Sleep(time.Minute)
		w.sees("color", "red")
		w.set(func() { w.feed = valued("blue", 8) })
		w.sees("color", "blue")
		w.set(func() { w.feed = flag.Feed{Version: "none left"} })
		synctest.Wait()
		if n := w.shown.All().Len(); n != 0 {
			t.Errorf("%d flags are still served", n)
		}
		stop()
	})
}

// Nothing is acknowledged by who serves nothing: there is no file, or not a good one.
func TestStartWithNothing(t *testing.T) {
	for name, disk := range map[string]string{"no file": "", "half a file": `{"environment":"produ`, "of another environment": `{"environment":"staging","version":"x"}`} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				if disk != "" {
					w.disk = []byte(disk)
				}
				w.away = errors.New("connection refused")
				f, _ := w.follow()
				w.sees("color", "nothing is served")
				if s := f.Statuses(); s != nil {
					t.Errorf("told %+v", s)
				}
				w.set(func() { w.away, w.feed = nil, valued("red", 1) })
				time.Sleep(2 * time.Second)
				w.sees("color", "red")
			})
		})
	}
}

// A full disk keeps nothing from being switched off, and everything from growing.
func TestABrokenDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.feed = valued("red", 1)
		f, _ := w.follow()
		w.set(func() { w.broken, w.feed = errors.New("no space left on device"), valued("off", 2) })
		w.sees("color", "off")
		acknowledges(t, f, subject, 0)
		if _, _, _, unsaved := f.State(); unsaved == "" {
			t.Error("nobody is told that the disk is broken")
		}
		time.Sleep(time.Minute)
		w.set(func() { w.broken = nil })
		time.Sleep(2 * time.Second)
		acknowledges(t, f, subject, 2)
		var saved flag.Feed
		if err := json.Unmarshal(w.disk, &saved); err != nil || saved.Version != "off2" || len(saved.Sets) != 1 {
			t.Errorf("on disk is %s (%v)", w.disk, err)
		}
	})
}

// A set that cannot be read costs no other set, and its own flags stay as they were, exposures included.
func TestASetThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		with := func(version, web string, generation int64, more string) flag.Feed {
			feed := valued(web, generation)
			feed.Version = version
			other := valued(more, 0).Sets[0].Raw
			feed.Sets = append(feed.Sets, flag.FedSet{Name: "app", Raw: []byte(`{"flags":{"size":` + string(other[len(`{"flags":{"color":`):]))})
			feed.Ramps = append(feed.Ramps, fleet.Service{Name: "flag:app:size", Generation: generation})
			return feed
		}
		w.feed = with("1", "red", 1, "small")
		f, _ := w.follow()
		w.sees("color", "red")
		w.sees("size", "small")
		bad := with("2", "blue", 2, "large")
		bad.Sets[0].Raw = json.RawMessage(`{"flags":3}`)
		w.set(func() { w.feed = bad })
		w.sees("color", "red")
		w.sees("size", "large")
		acknowledges(t, f, subject, 1)
		acknowledges(t, f, "flag:app:size", 2)
		w.set(func() { w.feed = with("3", "blue", 3, "large") })
		w.sees("color", "blue")
		acknowledges(t, f, subject, 3)
		gone := with("4", "blue", 4, "large")
		gone.Sets = gone.Sets[1:]
		w.set(func() { w.feed = gone })
		w.sees("color", "FLAG_NOT_FOUND")
		acknowledges(t, f, subject, -1)
	})
}

// The answer for another environment is none.
func TestAnAnswerForAnotherEnvironment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.feed = valued("red", 1)
		f := New(Options{Control: other{w}, Gateway: w, Served: w, Disk: w, Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
		w.sees("color", "nothing is served")
	})
}

type other struct{ *world }

func (o other) Feed(ctx context.Context, _, have string, wait time.Duration) (flag.Feed, error) {
	return o.world.Feed(ctx, "staging", have, wait)
}
