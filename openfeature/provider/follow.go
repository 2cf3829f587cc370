package provider

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/open-feature/go-sdk/openfeature"
)

// state is what the SDK was told last.
type state uint8

const (
	starting state = iota // Init has not returned
	ready
	stale
	broken
)

// refusedError is of a source that does not want this client.
type refusedError struct{ error }

func (r refusedError) Unwrap() error { return r.error }

// Pauses between attempts: those that brought nothing double the pause.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = 10 * time.Second
)

// follow follows the source until ctx is done.
func (p *Provider) follow(ctx context.Context, l *life) {
	pause := firstPause
	for {
		brought := false
		err := p.source.follow(ctx, func(next *served) {
			brought, pause = true, firstPause
			p.take(l, next)
			p.fresh()
		})
		if ctx.Err() != nil {
			return
		}
		if !brought {
			p.lost(l, err)
			if pause *= 2; errors.As(err, new(refusedError)) {
				pause = lastPause
			}
		}
		pause = min(pause, lastPause)
		select {
		case <-time.After(pause/2 + rand.N(pause/2)): // not all clients of a server at once
		case <-ctx.Done():
			return
		}
	}
}

// fresh tells that the flags are up to date.
func (p *Provider) fresh() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == stale || p.state == broken {
		p.state = ready
		p.o.Log.Info("flags: up to date again")
		p.events.state(openfeature.ProviderReady, openfeature.ProviderEventDetails{Message: "the flags are up to date"})
	}
}

// lost tells that an attempt to get flags has failed.
func (p *Provider) lost(l *life, err error) {
	select {
	case <-l.failed:
	default:
		l.err = err
		close(l.failed)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	to, event, details := stale, openfeature.ProviderStale, openfeature.ProviderEventDetails{Message: fmt.Sprintf("the flags may be outdated: %v", err)}
	if errors.As(err, new(refusedError)) {
		to, event, details.ErrorCode = broken, openfeature.ProviderError, openfeature.GeneralCode
	}
	if p.state == to || p.state == starting || p.state == broken && p.served.Load() == nil {
		return
	}
	p.state = to
	p.o.Log.Warn("flags: their source cannot be followed; what was had last is evaluated", "err", err)
	p.events.state(event, details)
}
