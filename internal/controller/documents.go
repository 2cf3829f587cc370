package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// Live says what of a service is in production.
type Live struct {
	Service  string                `json:"service"`
	Unit     string                `json:"unit,omitempty" doc:"where it runs, when units does not say"`
	Units    []string              `json:"units,omitempty" doc:"where it runs; empty when nothing runs"`
	Stable   string                `json:"stable" doc:"the version that everyone has or returns to; empty before the first release"`
	Versions map[string]string     `json:"versions,omitempty" doc:"the version of units that have another one than stable: where a hotfix went alone"`
	Rollout  string                `json:"rollout" doc:"the newest rollout; it may have ended"`
	Count    int                   `json:"count" doc:"rollouts so far"`
	Slots    map[string]fleet.Slot `json:"slots" doc:"how to run the versions that may be needed, as they were released"`
	Good     []string              `json:"good,omitempty" doc:"versions that reached everyone and stayed, oldest first"`
	Bad      map[string]Bad        `json:"bad,omitempty" doc:"versions that were taken back"`
}

// Bad says why a version is not released again without being forced.
type Bad struct {
	Rollout string    `json:"rollout"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	Kind    string    `json:"kind,omitempty" doc:"what alone was changed, and is to blame whatever it goes with: release, config or schema; empty for both together"`
}

// blames reports whether what was taken back as a label is in another one.
func (b Bad) blames(label, other string) bool {
	was, is := resource.SlotOf(label), resource.SlotOf(other)
	switch b.Kind {
	case rollout.KindRelease:
		return was.Version == is.Version
	case rollout.KindConfig:
		return was.Config == is.Config && is.Config != ""
	case rollout.KindSchema:
		return was.Schema == is.Schema && is.Schema != ""
	}
	return label == other
}

// from begins with what everyone has before the first rollout, also where there were others before it was withdrawn.
func (l Live) from(baseline string) Live {
	if l.Stable == "" && baseline != "" {
		l.Stable, l.Good = baseline, []string{baseline}
	}
	return l
}

// taken is why a label is not released again without being forced.
func (l Live) taken(label string) (Bad, bool) {
	if b, ok := l.Bad[label]; ok {
		return b, true
	}
	for _, v := range slices.Sorted(maps.Keys(l.Bad)) {
		if l.Bad[v].blames(v, label) {
			return l.Bad[v], true
		}
	}
	return Bad{}, false
}

// placed is where the service runs.
func (l Live) placed() []string {
	if len(l.Units) == 0 && l.Unit != "" {
		return []string{l.Unit}
	}
	return l.Units
}

// In is the version that a unit has while nothing is rolled out.
func (l Live) In(unit string) string {
	if v, ok := l.Versions[unit]; ok {
		return v
	}
	return l.Stable
}

// maxGood bounds how far back what was good is remembered, and maxBad how many versions that were not.
const (
	maxGood = 20
	maxBad  = 100
)

// concluded notes what a rollout leaves behind: the versions that run, and which of them are to be trusted.
func (l Live) concluded(s rollout.State) Live {
	switch s.Phase {
	case rollout.Succeeded:
		if s.Spared == 0 {
			l.Stable, l.Versions = s.To, nil
		} else {
			l.Versions = versionsAfter(s)
		}
	case rollout.RolledBack, rollout.Superseded, rollout.RollingBack:
		l.Stable, l.Versions = s.From, maps.Clone(s.Before)
	}
	switch s.Phase {
	case rollout.Succeeded:
		l = l.trusts(s)
	case rollout.RolledBack:
		if len(s.Stages) > 0 || !s.HurtAt.IsZero() { // else somebody changed their mind before anyone had it
			l = l.distrusts(s.To, Bad{s.ID, s.Reason, s.Ended, kindOf(s)})
		}
		l.Good = slices.DeleteFunc(slices.Clone(l.Good), func(v string) bool { return v == s.To })
	}
	return l
}

func (l Live) trusts(s rollout.State) Live {
	if s.Spared == 0 && !slices.Contains(l.Good, s.To) {
		l.Good = append(slices.Clone(l.Good), s.To)
		l.Good = l.Good[max(0, len(l.Good)-maxGood):]
	}
	l.Bad = maps.Clone(l.Bad)
	maps.DeleteFunc(l.Bad, func(v string, b Bad) bool { return v == s.To || b.blames(v, s.To) })
	if s.Lane == rollout.Redeploy {
		l = l.distrusts(s.From, Bad{s.ID, "replaced by what was last known good: " + s.Why, s.Ended, ""})
		l.Good = slices.DeleteFunc(slices.Clone(l.Good), func(v string) bool { return v == s.From })
	}
	return l
}

// kindOf is what alone a rollout changed; "" when it was several things.
func kindOf(s rollout.State) string {
	if len(s.Changes) == 1 {
		return s.Changes[0].Kind
	}
	return ""
}

func (l Live) distrusts(version string, why Bad) Live {
	if _, known := l.Bad[version]; known {
		return l
	}
	l.Bad = maps.Clone(l.Bad)
	if l.Bad == nil {
		l.Bad = map[string]Bad{}
	}
	l.Bad[version] = why
	for len(l.Bad) > maxBad {
		oldest := ""
		for v, b := range l.Bad {
			if oldest == "" || b.At.Before(l.Bad[oldest].At) {
				oldest = v
			}
		}
		delete(l.Bad, oldest)
	}
	return l
}

// slotsFor keeps how to run what runs, and adds the new version.
func (l Live) slotsFor(next fleet.Slot) map[string]fleet.Slot {
	slots := map[string]fleet.Slot{}
	for _, v := range append(slices.Collect(maps.Values(l.Versions)), l.Stable) {
		if slot, ok := l.Slots[v]; ok {
			slots[v] = slot
		}
	}
	slots[next.Version] = next
	return slots
}

// versionsAfter are the versions of units in which a rollout that did not reach all of them leaves another one than most have.
func versionsAfter(s rollout.State) map[string]string {
	versions := map[string]string{}
	for _, u := range s.Units {
		if v := s.AfterIn(u); v != s.From {
			versions[u] = v
		}
	}
	return versions
}

// versioned is a document read from the store with the revision that a write must name.
type versioned[T any] struct {
	value T
	rev   int64
	body  []byte // as stored: what is written again only when it differs
}

func read[T any](ctx context.Context, s Store, kind, name string) (versioned[T], error) {
	doc, err := s.Get(ctx, kind, name)
	if err != nil {
		return versioned[T]{}, err
	}
	return decode[T](doc)
}

func decode[T any](doc store.Doc) (versioned[T], error) {
	v := versioned[T]{rev: doc.Rev, body: doc.Body}
	if err := json.Unmarshal(doc.Body, &v.value); err != nil {
		return v, fmt.Errorf("%s %s: %w", doc.Kind, doc.Name, err)
	}
	return v, nil
}

// readOrNew returns the zero value at revision 0 when there is no such document.
func readOrNew[T any](ctx context.Context, s Store, kind, name string) (versioned[T], error) {
	v, err := read[T](ctx, s, kind, name)
	if errs.Is(err, errs.Missing) {
		return versioned[T]{}, nil
	}
	return v, err
}

// lives returns the Live documents of all services; those that have not changed are not decoded again.
func (c *Controller) lives(ctx context.Context) ([]versioned[Live], error) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	var all []versioned[Live]
	for after := ""; ; {
		docs, err := c.Store.List(ctx, store.Page{Kind: KindLive, After: after})
		if err != nil {
			return nil, err
		}
		if len(docs) == 0 {
			break
		}
		for _, d := range docs {
			c.mu.Lock()
			v, known := c.lived[d.Name]
			c.mu.Unlock()
			if !known || v.rev != d.Rev {
				if v, err = decode[Live](d); err != nil {
					return nil, err
				}
				c.mu.Lock()
				c.lived[d.Name] = v
				c.mu.Unlock()
			}
			all = append(all, v)
		}
		after = docs[len(docs)-1].Name
	}
	return all, nil
}

func listAll[T any](ctx context.Context, s Store, kind, prefix string) ([]versioned[T], error) {
	var all []versioned[T]
	for after := ""; ; {
		docs, err := s.List(ctx, store.Page{Kind: kind, Prefix: prefix, After: after})
		if err != nil || len(docs) == 0 {
			return all, err
		}
		for _, d := range docs {
			v, err := decode[T](d)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		after = docs[len(docs)-1].Name
	}
}

// RolloutID names a service's nth rollout for people: shop-3.
func RolloutID(service string, n int) string { return fmt.Sprintf("%s-%d", service, n) }

// rolloutName is the document name of a rollout: numbers padded, so that names sort as they were made.
func rolloutName(id string) (string, error) {
	i := strings.LastIndexByte(id, '-')
	if i > 0 {
		if n, err := strconv.Atoi(id[i+1:]); err == nil && n > 0 {
			return fmt.Sprintf("%s/%06d", id[:i], n), nil
		}
	}
	return "", errs.E(errs.Missing, "there is no rollout %q", id)
}

// record turns a rollout's events into entries of the record.
func record(id string, events []rollout.Event) ([]audit.Event, error) {
	out := make([]audit.Event, 0, len(events))
	for _, e := range events {
		actor := e.Actor
		if actor == "" {
			actor = "system:controller"
		}
		a, err := audit.New(e.Time, e.Type, actor, "rollout/"+id, e)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}
