package rollout

import (
	"maps"
	"slices"
	"strings"
)

// Wanted is what must be so in one unit while a rollout is in a state: the version of each ring and the versions kept running.
type Wanted struct {
	Exposure []string
	Keep     []string
}

// Wanted derives the actions for a unit from the state; it may be asked, and acted on, any number of times.
func (s State) Wanted(unit string) Wanted {
	before := s.BeforeIn(unit)
	w := Wanted{Exposure: make([]string, len(s.Rings))}
	for i := range w.Exposure {
		w.Exposure[i] = before
		if s.exposes(i) {
			w.Exposure[i] = s.To
		}
	}
	w.Keep = []string{before}
	if s.wants(unit) {
		w.Keep = []string{s.To}
		if !s.Phase.Ended() || s.Standing() {
			w.Keep = []string{before, s.To}
		}
	}
	w.Keep = slices.DeleteFunc(w.Keep, func(v string) bool { return v == "" })
	return w
}

// BeforeIn is what ran before in a unit.
func (s State) BeforeIn(unit string) string {
	if v, ok := s.Before[unit]; ok {
		return v
	}
	return s.From
}

// Beside is what the new version is judged against: all versions that it replaces, as units may have different ones.
// They are joined by |, which no version holds.
func (s State) Beside() string {
	all := append([]string{s.From}, slices.Collect(maps.Values(s.Before))...)
	all = slices.DeleteFunc(all, func(v string) bool { return v == "" || v == s.To })
	slices.Sort(all)
	return strings.Join(slices.Compact(all), "|")
}

// Replaces reports whether a version is one of those.
func (s State) Replaces(version string) bool {
	before := version == s.From || slices.Contains(slices.Collect(maps.Values(s.Before)), version)
	return before && version != "" && version != s.To
}

// AfterIn is what a unit has when the rollout has ended.
func (s State) AfterIn(unit string) string {
	if s.Phase == Succeeded && s.fills(unit) {
		return s.To
	}
	return s.BeforeIn(unit)
}

// fills reports whether all users in a unit have the new version once the last ring has it.
func (s State) fills(unit string) bool {
	if s.Spared == 0 {
		return true
	}
	for i, m := range s.Members[:min(s.last()+1, len(s.Members))] {
		everyone := string(m.Audience) == "true" || len(m.Audience) == 0 && m.Percent == 0
		if everyone && (len(s.Rings[i].Units) == 0 || slices.Contains(s.Rings[i].Units, unit)) {
			return true
		}
	}
	return false
}

// exposes reports whether users of ring i get the new version.
func (s State) exposes(i int) bool {
	switch s.Phase {
	case Exposing, Baking, Succeeded:
		return i <= s.Ring
	case RollingBack:
		return !s.Reverted && i <= s.Ring
	default:
		return false
	}
}

// wants reports whether a unit runs the new version: where a ring has it, and, so that it is ready by then, where the
// next ring will have it.
func (s State) wants(unit string) bool {
	switch s.Phase {
	case RolledBack, Superseded:
		return false
	case RollingBack, Succeeded:
		return s.reaches(unit, max(s.Ring, 0))
	default:
		return s.reaches(unit, min(s.next(), s.last()))
	}
}

// reaches reports whether a ring up to the given one has users in a unit.
func (s State) reaches(unit string, ring int) bool {
	for _, r := range s.Rings[:min(ring+1, len(s.Rings))] {
		if len(r.Units) == 0 || slices.Contains(r.Units, unit) {
			return true
		}
	}
	return false
}

// Concerns says what a rollout has to do with a unit: whether it shall run the new version there, and whether users
// there have it.
func (s State) Concerns(unit string) (wanted, exposed bool) {
	return s.wants(unit), s.Ring >= 0 && s.exposes(s.Ring) && s.reaches(unit, s.Ring)
}

// next is the ring that is entered after the current one.
func (s State) next() int {
	if s.Ring < 0 {
		return s.firstRing()
	}
	return s.Ring + 1
}

// firstRing is the innermost ring, or the last one for a first release: there is no one to protect yet.
func (s State) firstRing() int {
	if s.From == "" {
		return s.last()
	}
	return s.Entry
}
