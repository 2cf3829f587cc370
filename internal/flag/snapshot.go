package flag

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
)

// flagSetID is the metadata by which sets of flags are told apart; a flag's own wins over its set's.
const flagSetID = "flagSetId"

// maxSources is how many documents a snapshot may have.
const maxSources = 1000

// Source is one plain flagd document, JSON, and where it is from.
type Source struct {
	Name string
	Raw  []byte
}

// Fault is what is wrong with a source.
type Fault struct {
	Source string
	resource.Problem
}

// Served is one set of a snapshot.
type Served struct {
	*Set
	Source string
	Raw    []byte
}

// Snapshot is everything that is served to one environment at one time. It never changes; its Version is a hash of its
// content, so equal snapshots have equal versions wherever they are made.
type Snapshot struct {
	Version string
	Sets    []Served // those later in the list win where keys are equal

	all      *View
	byID     map[string]*View
	bySource map[string]*View
}

// View is what a selector chooses of a snapshot: one set of flags, evaluated and handed on as such.
type View struct {
	*Set
	Hash string // of what is in Raw
	Raw  []byte // a plain flagd document with just these flags
}

// NewSnapshot reads sources, those later in the list winning. The faults are all that is wrong; there is no Snapshot
// when one of the sources is no set of flags at all.
func NewSnapshot(sources ...Source) (*Snapshot, []Fault) {
	if len(sources) > maxSources {
		return nil, []Fault{{Problem: resource.Problem{Msg: "there are too many sources", Expected: "at most 1000"}}}
	}
	var faults []Fault
	sets := make([]Served, 0, len(sources))
	for _, from := range sources {
		set, problems := Parse(from.Raw)
		for _, p := range problems {
			faults = append(faults, Fault{Source: from.Name, Problem: p})
		}
		if set != nil {
			sets = append(sets, Served{Set: set, Source: from.Name, Raw: from.Raw})
		}
	}
	if len(sets) < len(sources) {
		return nil, faults
	}
	return SnapshotOf(sets...), faults
}

// SnapshotOf is the snapshot of sets that are compiled already from their Raw.
func SnapshotOf(sets ...Served) *Snapshot {
	s := &Snapshot{Sets: sets, byID: map[string]*View{}, bySource: map[string]*View{}}
	s.Version = versionOf(sets)
	s.all = viewOf(sets, nil)
	ids, sources := map[string]bool{}, map[string]bool{}
	for _, set := range sets {
		sources[set.Source] = true
		for _, f := range set.flags {
			ids[idOf(f)] = true
		}
	}
	for id := range ids {
		s.byID[id] = viewOf(sets, func(_ Served, f *Flag) bool { return idOf(f) == id })
	}
	for source := range sources {
		s.bySource[source] = viewOf(sets, func(from Served, _ *Flag) bool { return from.Source == source })
	}
	return s
}

func idOf(f *Flag) string {
	id, _ := f.Metadata[flagSetID].(string)
	return id
}

func versionOf(sets []Served) string {
	h := sha256.New()
	part := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b)))) // a hash takes everything
		h.Write(b)
	}
	for _, set := range sets {
		part([]byte(set.Source))
		part(set.Raw)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// All is the view of all flags.
func (s *Snapshot) All() *View { return s.all }

// Select returns what a selector chooses, in flagd's grammar: flagSetId=NAME (without a name, flags that are in no named
// set), source=NAME, or a source's name alone; nothing chooses everything. What there is none of is an empty view.
func (s *Snapshot) Select(selector string) (*View, error) {
	if selector == "" {
		return s.all, nil
	}
	key, value, ok := strings.Cut(selector, "=")
	if !ok {
		key, value = "source", selector
	}
	var v *View
	switch key {
	case flagSetID:
		v = s.byID[value]
	case "source":
		v = s.bySource[value]
	default:
		return nil, errs.E(errs.Invalid, "selector %.80q: expected flagSetId=… or source=…", selector)
	}
	if v == nil {
		return nothing, nil
	}
	return v, nil
}

var nothing = viewOf(nil, nil)

// viewOf is the view of those flags of sets that keep allows.
func viewOf(sets []Served, keep func(Served, *Flag) bool) *View {
	chosen := make([]map[string]*Flag, len(sets))
	winner, merged := map[string]int{}, map[string]*Flag{}
	for i, set := range sets {
		chosen[i] = map[string]*Flag{}
		for key, f := range set.flags {
			if keep != nil && !keep(set, f) {
				continue
			}
			if before, twice := winner[key]; twice {
				delete(chosen[before], key)
			}
			chosen[i][key], merged[key], winner[key] = f, f, i
		}
	}
	var from []part
	for i, set := range sets {
		if len(chosen[i]) > 0 || len(sets) == 1 {
			from = append(from, part{set, chosen[i]})
		}
	}
	v := &View{Set: &Set{Metadata: map[string]any{}, flags: merged}}
	if len(from) == 1 && len(from[0].flags) == len(from[0].Set.flags) {
		v.Set, v.Raw = from[0].Set, from[0].plain()
	} else {
		v.Raw = mergedRaw(from)
		v.ID = commonID(merged)
	}
	if v.ID != "" && v.Metadata[flagSetID] == nil {
		v.Metadata = map[string]any{flagSetID: v.ID}
	}
	sum := sha256.Sum256(v.Raw)
	v.Hash = hex.EncodeToString(sum[:16])
	return v
}

// commonID is the id of the set that all flags are in, empty when they are in several.
func commonID(flags map[string]*Flag) string {
	ids := map[string]bool{}
	for _, f := range flags {
		ids[idOf(f)] = true
	}
	if len(ids) != 1 {
		return ""
	}
	return slices.Collect(maps.Keys(ids))[0]
}
