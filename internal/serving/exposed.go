package serving

import (
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
)

// InForce is the exposure of a flag that is served: its generation, and its variants, all of which can be served at once. It
// has no generation when it is not served.
func (e *Engine) InForce(name string) fleet.ServiceStatus {
	status := fleet.ServiceStatus{Name: name}
	subject, err := flag.ParseSubject(name)
	if err != nil {
		return status
	}
	at, err := e.at(subject.Environment)
	if err != nil {
		return status
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range at.Ramps {
		if s.Name != name {
			continue
		}
		status.Generation = s.Generation
		variants := append([]string{}, s.Exposure...)
		if s.Ramp != nil {
			variants = append(variants, s.Ramp.From, s.Ramp.To)
		}
		for _, v := range variants {
			if v != "" {
				status.Slots = append(status.Slots, fleet.SlotStatus{Version: v, Ready: 1, Wanted: 1})
			}
		}
	}
	return status
}

// Chosen are the users who chose about a flag's preview, by the name of its exposure.
func (e *Engine) Chosen(name string) flag.Choices {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen.choices[name]
}
