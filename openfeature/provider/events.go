package provider

import (
	"context"
	"slices"
	"sync"

	"github.com/open-feature/go-sdk/openfeature"
)

// events are what the SDK is to be told. Whoever has something to tell never waits: of what nobody received meanwhile, the last state
// counts, and changes add up.
type events struct {
	out  chan openfeature.Event
	more chan struct{}

	mu    sync.Mutex
	last  *openfeature.Event // of the state
	flags []string
}

func newEvents() *events {
	return &events{out: make(chan openfeature.Event), more: make(chan struct{}, 1)}
}

func (e *events) state(kind openfeature.EventType, details openfeature.ProviderEventDetails) {
	e.mu.Lock()
	e.last = &openfeature.Event{ProviderName: (*Provider)(nil).Metadata().Name, EventType: kind, ProviderEventDetails: details}
	e.mu.Unlock()
	e.wake()
}

func (e *events) changed(keys []string) {
	if len(keys) == 0 {
		return
	}
	e.mu.Lock()
	e.flags = append(e.flags, keys...)
	slices.Sort(e.flags)
	e.flags = slices.Compact(e.flags)
	e.mu.Unlock()
	e.wake()
}

func (e *events) wake() {
	select {
	case e.more <- struct{}{}:
	default:
	}
}

// next is what is to be told next.
func (e *events) next() (openfeature.Event, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if event := e.last; event != nil {
		e.last = nil
		return *event, true
	}
	if len(e.flags) == 0 {
		return openfeature.Event{}, false
	}
	event := openfeature.Event{ProviderName: (*Provider)(nil).Metadata().Name, EventType: openfeature.ProviderConfigChange,
		ProviderEventDetails: openfeature.ProviderEventDetails{Message: "flags have changed", FlagChanges: e.flags}}
	e.flags = nil
	return event, true
}

// clear forgets what was not received.
func (e *events) clear() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last, e.flags = nil, nil
}

// tell tells until ctx is done.
func (e *events) tell(ctx context.Context) {
	for {
		event, ok := e.next()
		if !ok {
			select {
			case <-e.more:
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case e.out <- event:
		case <-ctx.Done():
			return
		}
	}
}
