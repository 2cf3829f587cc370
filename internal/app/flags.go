package app

import (
	"time"

	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/link"
	"github.com/ringfence/ringfence/internal/serving"
	"github.com/ringfence/ringfence/internal/switchboard"
)

// ackAge is how old a report may be for what it says of flags to be waited for: a data plane that is away cannot keep an
// exposure from being in force for all others.
const ackAge = 5 * time.Second

// everywhere fits the data planes, and what serves flags here, to the controller.
type everywhere struct {
	*link.Hub
	serving *serving.Engine
	told    *told
}

// Observe is, for the exposure of a flag, what is in force here and in every data plane that serves it.
func (e everywhere) Observe(unit, service string) (fleet.ServiceStatus, time.Time) {
	if unit != flag.Unit {
		return e.Hub.Observe(unit, service)
	}
	status, now, environment := e.serving.InForce(service), time.Now(), ""
	if subject, err := flag.ParseSubject(service); err == nil {
		environment = subject.Environment
	}
	for _, u := range e.Hub.Units() {
		told, at := e.Hub.Observe(u.Unit, service)
		if now.Sub(at) > ackAge {
			continue
		}
		if told.Name != service { // it serves no flags of the environment, or has not heard of this exposure yet
			if mark, _ := e.Hub.Observe(u.Unit, flag.Mark(environment)); mark.Name != "" {
				status.Generation = 0
			}
			continue
		}
		status.Generation = min(status.Generation, told.Generation)
		status.Users = append(status.Users, told.Users...)
	}
	e.told.seen(service, status.Generation, now)
	status.Users = append(status.Users, e.told.users(service)...)
	return status, now
}

// Publish wakes who waits for a change.
func (e everywhere) Publish(unit string) {
	if unit == flag.Unit {
		e.serving.Wake()
		return
	}
	e.Hub.Publish(unit)
}

// newBoard makes where people act on flags.
func (s *server) newBoard() *switchboard.Board {
	return switchboard.New(switchboard.Options{Catalog: s.catalog, Rollouts: s.controller, Served: s.serving, Store: s.store, Choices: serving.KindChoices,
		Usage: usage{s.events, s.since}})
}
