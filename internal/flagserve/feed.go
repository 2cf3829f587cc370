package flagserve

import (
	"sync"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
)

// Feed has what is served to each environment. Its zero value has nothing.
type Feed struct {
	mu           sync.RWMutex
	environments map[string]*served
}

type served struct {
	snapshot *flag.Snapshot
	watchers map[chan struct{}]struct{}
}

func (f *Feed) of(environment string) *served {
	if f.environments == nil {
		f.environments = map[string]*served{}
	}
	s := f.environments[environment]
	if s == nil {
		s = &served{watchers: map[chan struct{}]struct{}{}}
		f.environments[environment] = s
	}
	return s
}

// Set changes what is served. A snapshot of the same version is no change.
func (f *Feed) Set(environment string, snapshot *flag.Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.of(environment)
	if s.snapshot != nil && snapshot != nil && s.snapshot.Version == snapshot.Version {
		return
	}
	s.snapshot = snapshot
	for c := range s.watchers {
		select {
		case c <- struct{}{}:
		default: // it has not looked since the last change, and will see this one
		}
	}
}

// Drop ends the service of an environment that is no more.
func (f *Feed) Drop(environment string) { f.Set(environment, nil) }

// Current is what is served now.
func (f *Feed) Current(environment string) (*flag.Snapshot, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if s := f.environments[environment]; s != nil && s.snapshot != nil {
		return s.snapshot, nil
	}
	return nil, errs.E(errs.Missing, "there are no flags for the environment %q", environment)
}

// Watch sends after each change, until cancel.
func (f *Feed) Watch(environment string) (changes <-chan struct{}, cancel func()) {
	c := make(chan struct{}, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of(environment).watchers[c] = struct{}{}
	return c, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		s := f.of(environment)
		if delete(s.watchers, c); s.snapshot == nil && len(s.watchers) == 0 {
			delete(f.environments, environment)
		}
	}
}

// Watchers is how many watch, in all environments.
func (f *Feed) Watchers() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	n := 0
	for _, s := range f.environments {
		n += len(s.watchers)
	}
	return n
}
