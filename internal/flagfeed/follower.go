package flagfeed

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
)

// Control is the control plane. Feed waits up to wait for something that differs from have, and then answers with that version
// again, without content.
type Control interface {
	Feed(ctx context.Context, environment, have string, wait time.Duration) (flag.Feed, error)
}

// Gateway counts users' requests by the exposures of flags. Those that it cannot count by are told as an error.
type Gateway interface {
	SetRamps(services []fleet.Service) error
	RampStatuses() []fleet.ServiceStatus
}

// Served is where flags are answered from.
type Served interface {
	Set(environment string, s *flag.Snapshot)
}

// Disk keeps the last feed. Load returns nil when there is none.
type Disk interface {
	Save(b []byte) error
	Load() ([]byte, error)
}

// Options configure a Follower.
type Options struct {
	Environment string
	Control     Control
	Gateway     Gateway
	Served      Served
	Disk        Disk
	Logger      *slog.Logger
	Changed     func() // called when Statuses would say something else; it must not block
}

// Follower follows one environment.
type Follower struct {
	Options

	sets map[string]good // by name, as last good

	mu      sync.Mutex
	feed    flag.Feed // in use
	keys    *flag.Keyring
	unsaved string    // why the feed is not on disk
	since   time.Time // last answer of the control plane
	trouble string    // why there is none since
}

// good is a set that can be served, with the exposures that it was served with.
type good struct {
	flag.Served
	ramps []fleet.Service
}

const (
	longest = 20 * time.Second // wait for a change
	again   = time.Second      // until something that failed is tried again
)

// New makes a follower; Restore and Run start it.
func New(o Options) *Follower {
	if o.Environment == "" {
		o.Environment = flag.Production
	}
	return &Follower{Options: o, sets: map[string]good{}, keys: flag.NewKeyring(nil)}
}

// Restore serves what was last saved. What cannot be read is said and left out.
func (f *Follower) Restore() {
	b, err := f.Disk.Load()
	if err == nil && b == nil {
		return
	}
	var feed flag.Feed
	if err == nil {
		err = json.Unmarshal(b, &feed)
	}
	if err == nil && feed.Environment != f.Environment {
		err = errs.E(errs.Invalid, "they are of environment %q", feed.Environment)
	}
	if err != nil {
		f.Logger.Error("the flags that were last served cannot be restored", "err", err)
		return
	}
	f.use(feed, "")
}

// Run follows until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	away := false
	for ctx.Err() == nil {
		have, wait := f.has()
		feed, err := f.Control.Feed(ctx, f.Environment, have, wait)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil && feed.Environment != f.Environment:
			err = errs.E(errs.Internal, "the control plane answered for environment %q", feed.Environment)
		}
		if err != nil {
			if !away {
				f.Logger.Warn("the control plane does not say what flags to serve; they are served as they were", "err", err, "hint", errs.HintOf(err))
			}
			away = true
			f.heard("the control plane does not answer")
			pause(ctx)
			continue
		}
		if away {
			f.Logger.Info("the control plane tells of flags again")
		}
		away = false
		f.heard("")
		f.adopt(feed)
	}
	return nil
}

// has is the version in use, and how long to wait for another.
func (f *Follower) has() (string, time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unsaved != "" {
		return f.feed.Version, again
	}
	return f.feed.Version, longest
}

// adopt saves what is told and uses it, or saves what could not be saved so far.
func (f *Follower) adopt(feed flag.Feed) {
	f.mu.Lock()
	before, why := f.feed, f.unsaved
	f.mu.Unlock()
	same := feed.Version == before.Version
	if same {
		feed = before // the answer has no content
	}
	if feed.Blank && len(before.Sets) > 0 { // as with services: no emptied database changes production
		f.Logger.Warn("the control plane knows of no flags, nor of anything that was ever declared; flags are served as they were")
		f.mu.Lock()
		f.feed.Version = feed.Version
		f.mu.Unlock()
		return
	}
	if same && why == "" {
		return
	}
	b, err := json.Marshal(feed)
	if err == nil {
		err = f.Disk.Save(b)
	}
	unsaved := ""
	if err != nil {
		if unsaved = err.Error(); unsaved != why {
			f.Logger.Error("the flags cannot be saved; they are served, but exposures do not grow until they are", "err", err)
		}
	} else if why != "" {
		f.Logger.Info("the flags are saved again")
	}
	if !same {
		f.use(feed, unsaved)
		return
	}
	f.mu.Lock()
	f.unsaved = unsaved
	f.mu.Unlock()
	f.changed()
}

// use puts a feed in force: first the flags, then what is counted by, which acknowledges them.
func (f *Follower) use(feed flag.Feed, unsaved string) {
	sets, served := make(map[string]good, len(feed.Sets)), make([]flag.Served, 0, len(feed.Sets))
	var ramps []fleet.Service
	for _, from := range feed.Sets {
		g, ok := f.read(from, feed.Ramps)
		if !ok {
			continue
		}
		sets[from.Name] = g
		served, ramps = append(served, g.Served), append(ramps, g.ramps...)
	}
	f.sets = sets
	f.mu.Lock()
	f.keys = flag.NewKeyring(feed.Keys) // before there is more to see
	f.mu.Unlock()
	f.Served.Set(f.Environment, flag.SnapshotOf(served...))
	if err := f.Gateway.SetRamps(ramps); err != nil {
		f.Logger.Error("requests cannot be counted by the exposure of a flag", "err", err)
	}
	f.mu.Lock()
	f.feed, f.unsaved = feed, unsaved
	f.mu.Unlock()
	f.changed()
}

// read makes a set of what was told, or stays with what it was.
func (f *Follower) read(from flag.FedSet, ramps []fleet.Service) (good, bool) {
	old, known := f.sets[from.Name]
	mine := slices.DeleteFunc(slices.Clone(ramps), func(s fleet.Service) bool {
		subject, err := flag.ParseSubject(s.Name)
		return err != nil || subject.Set != from.Name
	})
	if known && bytes.Equal(old.Raw, from.Raw) {
		return good{old.Served, mine}, true
	}
	set, problems := flag.Parse(from.Raw)
	if set == nil {
		f.Logger.Error("a flag set cannot be read; it is served as it last could be", "set", from.Name, "known", known, "err", problems[0].Text())
		return old, known
	}
	if len(problems) > 0 {
		f.Logger.Error("a flag set has problems; what can be served of it is", "set", from.Name, "err", problems[0].Text())
	}
	return good{flag.Served{Set: set, Source: from.Name, Raw: from.Raw}, mine}, true
}

// Statuses are the exposures in force here, and the mark of the environment; nothing before anything is served.
func (f *Follower) Statuses() []fleet.ServiceStatus {
	f.mu.Lock()
	version, saved := f.feed.Version, f.unsaved == ""
	f.mu.Unlock()
	if version == "" {
		return nil
	}
	all := f.Gateway.RampStatuses()
	for i := range all {
		if !saved {
			all[i].Generation = 0
		}
	}
	return append(all, fleet.ServiceStatus{Name: flag.Mark(f.Environment), Slots: []fleet.SlotStatus{}})
}

// Keys are those by which clients may ask.
func (f *Follower) Keys() (*flag.Keyring, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keys, nil
}

func (f *Follower) changed() {
	if f.Changed != nil {
		f.Changed()
	}
}

func (f *Follower) heard(trouble string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.trouble = trouble; trouble == "" {
		f.since = time.Now()
	}
}

// State says which version of what is served, when the control plane last answered and what is wrong since, and why the flags are
// not on disk.
func (f *Follower) State() (version string, at time.Time, trouble, unsaved string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.feed.Version, f.since, f.trouble, f.unsaved
}

// pause waits for about as long as until something is tried again, spread so that many do not come back at once.
func pause(ctx context.Context) {
	t := time.NewTimer(again/2 + rand.N(again))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
