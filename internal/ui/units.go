package ui

import (
	"cmp"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// perUnit is what is so in each unit.
type perUnit []struct{ unit, is string }

func (p perUnit) add(unit, is string) perUnit { return append(p, struct{ unit, is string }{unit, is}) }

// text says it once when it is the same everywhere.
func (p perUnit) text() string {
	var parts []string
	same := true
	for _, one := range p {
		parts = append(parts, cmp.Or(one.is, "nothing")+" in "+one.unit)
		same = same && one.is == p[0].is
	}
	if same && len(p) > 0 {
		return p[0].is
	}
	return strings.Join(parts, ", ")
}

// together is what the units of a service report of it, as one, and when the one reported that has been silent the longest.
func (s *Server) together(units []string, service string) (fleet.ServiceStatus, time.Time) {
	var oldest time.Time
	all := make([]fleet.ServiceStatus, len(units))
	for i, unit := range units {
		var seen time.Time
		if all[i], seen = s.Hub.Observe(unit, service); i == 0 || seen.Before(oldest) {
			oldest = seen
		}
	}
	return fleet.Together(all), oldest
}
