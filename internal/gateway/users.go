package gateway

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/axiomhq/hyperloglog"
	"github.com/twmb/murmur3"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
)

// exactUsers is how many distinct keys are counted exactly; beyond it the count is an estimate within about 1 %.
const exactUsers = fleet.ExactUsers

// distinct counts distinct hashes.
type distinct struct {
	exact  map[uint64]struct{}
	sketch *hyperloglog.Sketch // set once exact is full
}

// insert says whether d may be another set now.
func (d *distinct) insert(h uint64) bool {
	if d.sketch != nil {
		d.sketch.InsertHash(h)
		return true
	}
	if _, known := d.exact[h]; known {
		return false
	}
	if d.exact == nil {
		d.exact = map[uint64]struct{}{}
	}
	d.exact[h] = struct{}{}
	if len(d.exact) > exactUsers {
		d.sketch = hyperloglog.New14()
		for k := range d.exact {
			d.sketch.InsertHash(k)
		}
		d.exact = nil
	}
	return true
}

func (d *distinct) count() int64 {
	if d.sketch != nil {
		return int64(d.sketch.Estimate())
	}
	return int64(len(d.exact))
}

// userSet counts the distinct targeting keys of a series: all of them, and those since the service's exposure last
// changed, so that the sides of a comparison are counted over the same time.
type userSet struct {
	changes *atomic.Uint64      // of all sets together
	turn    int64               // order of making
	last    [1024]atomic.Uint64 // keys just counted, by their low bits, so that most requests need no lock

	mu         sync.Mutex
	all, since distinct
}

func (u *userSet) add(key string) {
	h := murmur3.StringSum64(key)
	slot := &u.last[h%uint64(len(u.last))]
	if h != 0 && slot.Load() == h {
		return
	}
	u.mu.Lock()
	fresh := u.all.insert(h)
	fresh = u.since.insert(h) || fresh
	slot.Store(h)
	u.mu.Unlock()
	if fresh {
		u.changes.Add(1)
	}
}

// restart begins to count anew what is counted since the exposure changed.
func (u *userSet) restart() { u.forget(false) }

// forget restarts the set, with all that it has counted if wanted.
func (u *userSet) forget(all bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.since = distinct{}
	if all {
		u.all = distinct{}
	}
	for i := range u.last {
		u.last[i].Store(0)
	}
}

func (u *userSet) counts() (all, since int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.all.count(), u.since.count()
}

// Users counts the distinct targeting keys per ring and version of a service that it was exposed to so far.
func (g *Gateway) Users(service string) []fleet.UserCount {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []fleet.UserCount
	for k, u := range g.users {
		if k.service != service { // before it is counted: an estimate takes its time
			continue
		}
		if all, since := u.counts(); all > 0 {
			out = append(out, fleet.UserCount{Ring: k.ring, Version: k.version, Users: all, Recent: since})
		}
	}
	sortCounts(out)
	return out
}

func sortCounts(all []fleet.UserCount) {
	slices.SortFunc(all, func(a, b fleet.UserCount) int {
		return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.Ring, b.Ring))
	})
}

// savedUsers is one set as it is kept across restarts.
type savedUsers struct {
	Service string   `json:"service"`
	Version string   `json:"version"`
	Ring    string   `json:"ring"`
	All     savedSet `json:"all"`
	Since   savedSet `json:"since"`

	Exposure []string `json:"exposure"` // of the service, which Since counts from
}

type savedSet struct {
	Exact  []uint64 `json:"exact,omitempty"`
	Sketch []byte   `json:"sketch,omitempty"`
}

func (d *distinct) save() (s savedSet, err error) {
	if d.sketch != nil {
		s.Sketch, err = d.sketch.MarshalBinary()
	}
	for h := range d.exact {
		s.Exact = append(s.Exact, h)
	}
	return s, err
}

// read turns what was saved into a set of its own.
func (s savedSet) read() (d distinct, err error) {
	if len(s.Sketch) > 0 {
		d.sketch = hyperloglog.New14()
		err = d.sketch.UnmarshalBinary(s.Sketch)
	}
	for _, h := range s.Exact {
		d.insert(h)
	}
	return d, err
}

// add puts everything of other into d.
func (d *distinct) add(other distinct) error {
	for h := range other.exact {
		d.insert(h)
	}
	if other.sketch == nil {
		return nil
	}
	for h := range d.exact {
		other.sketch.InsertHash(h)
	}
	if d.sketch != nil {
		if err := other.sketch.Merge(d.sketch); err != nil {
			return err
		}
	}
	d.exact, d.sketch = nil, other.sketch
	return nil
}

// UserChanges grows whenever SaveUsers would return something else than before.
func (g *Gateway) UserChanges() uint64 { return g.userChanges.Load() }

// SaveUsers returns the counted users, as LoadUsers takes them. Keys are kept as hashes only.
func (g *Gateway) SaveUsers() ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := []savedUsers{}
	for k, u := range g.users {
		s := savedUsers{Service: k.service, Version: k.version, Ring: k.ring}
		if r := g.table.Load().services[k.service]; r != nil {
			s.Exposure = r.exposure()
		}
		if r := g.ramps[k.service]; r != nil {
			s.Exposure = r.trial()
		}
		u.mu.Lock()
		var err, sinceErr error
		s.All, err = u.all.save()
		s.Since, sinceErr = u.since.save()
		u.mu.Unlock()
		if err := errors.Join(err, sinceErr); err != nil {
			return nil, errs.Wrap(errs.Internal, err, "users of %s %s", k.service, k.version)
		}
		out = append(out, s)
	}
	return json.Marshal(out)
}

// LoadUsers adds what SaveUsers returned to what is counted since. On an error nothing is added.
func (g *Gateway) LoadUsers(b []byte) error {
	var in []savedUsers
	if err := json.Unmarshal(b, &in); err != nil {
		return errs.Wrap(errs.Invalid, err, "saved users")
	}
	return g.addUsers(in, func(s savedUsers) bool {
		g.loaded[s.Service] = s.Exposure
		return true
	})
}

// addUsers adds sets of users. recent says whether a set's users count since the exposure changed; it is called with g.mu held.
func (g *Gateway) addUsers(in []savedUsers, recent func(savedUsers) bool) error {
	sets := make([][2]distinct, len(in))
	for i, s := range in {
		var err, sinceErr error
		sets[i][0], err = s.All.read()
		sets[i][1], sinceErr = s.Since.read()
		if err := errors.Join(err, sinceErr); err != nil {
			return errs.Wrap(errs.Invalid, err, "saved users of %s %s", s.Service, s.Version)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.userChanges.Add(1)
	for i, s := range in {
		u := g.userSet(seriesKey{s.Service, s.Version, s.Ring})
		if !recent(s) {
			sets[i][1] = distinct{}
		}
		u.mu.Lock()
		err := errors.Join(u.all.add(sets[i][0]), u.since.add(sets[i][1]))
		u.mu.Unlock()
		if err != nil {
			return errs.Wrap(errs.Invalid, err, "saved users of %s %s", s.Service, s.Version)
		}
	}
	return nil
}

// restartUsers counts a service's users anew when its exposure differs from that of the table before. Users that were
// loaded were counted under the exposure they were saved with: it may have changed just before a crash. g.mu is held.
func (g *Gateway) restartUsers(before, now *route) {
	g.userChanges.Add(1) // what the counts are of, at least
	was, known := g.loaded[now.service]
	delete(g.loaded, now.service)
	if before != nil {
		was, known = before.exposure(), true
	}
	if !known || slices.Equal(was, now.exposure()) {
		return
	}
	for k, u := range g.users {
		if k.service == now.service {
			u.restart()
		}
	}
}

// exposure is the version of each ring, "" where none is out.
func (r *route) exposure() []string {
	out := make([]string, len(r.targets))
	for i, t := range r.targets {
		if t != nil {
			out[i] = t.version.name
		}
	}
	return out
}

// userSet returns the set of a series, made when there is none. g.mu is held.
func (g *Gateway) userSet(k seriesKey) *userSet {
	u := g.users[k]
	if u == nil {
		g.userTurn++
		u = &userSet{turn: g.userTurn, changes: &g.userChanges}
		g.users[k] = u
		g.userChanges.Add(1)
	}
	return u
}

// forgetUsers drops the sets of services that are gone, and of a service's versions that left all but the latest:
// the control plane reads a version's last count after it was taken back. g.mu is held.
func (g *Gateway) forgetUsers(t *table, wanted map[versionKey]bool) {
	g.userChanges.Add(1)
	const keep = 64 // sets per service
	left := map[string][]seriesKey{}
	for k := range g.users {
		switch {
		case flag.IsSubject(k.service): // see sweepRamps
		case t.services[k.service] == nil:
			delete(g.users, k)
			g.metrics.drop(k)
		case !wanted[versionKey{k.service, k.version}]:
			left[k.service] = append(left[k.service], k)
		}
	}
	for _, ks := range left {
		slices.SortFunc(ks, func(a, b seriesKey) int { return cmp.Compare(g.users[b].turn, g.users[a].turn) })
		for _, k := range ks[min(keep, len(ks)):] {
			delete(g.users, k)
			g.metrics.drop(k)
		}
	}
}
