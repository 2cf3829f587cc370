package flag

import (
	"encoding/json"

	"github.com/ringfence/ringfence/internal/fleet"
)

// Feed is what a program needs to serve an environment's flags, also when nobody can be asked any more.
type Feed struct {
	Environment string          `json:"environment"`
	Version     string          `json:"version" doc:"equal for equal content"`
	Blank       bool            `json:"blank,omitempty" doc:"nothing was ever declared where it is from: a new database, or an emptied one"`
	Sets        []FedSet        `json:"sets" doc:"plain sets, those later in the list winning"`
	Keys        []Key           `json:"keys,omitempty" doc:"who may ask for them, by hashes; revoked ones, too"`
	Ramps       []fleet.Service `json:"ramps" doc:"the exposures of flags, for counting requests on both sides of those in trial"`
}

// FedSet is one plain set of flags.
type FedSet struct {
	Name string          `json:"name"`
	Raw  json.RawMessage `json:"raw"`
}

// Snapshot makes the feed what is served.
func (f Feed) Snapshot() (*Snapshot, []Fault) {
	sources := make([]Source, len(f.Sets))
	for i, s := range f.Sets {
		sources[i] = Source{Name: s.Name, Raw: s.Raw}
	}
	return NewSnapshot(sources...)
}
