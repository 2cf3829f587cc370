package gateway

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/axiomhq/hyperloglog"
	"github.com/twmb/murmur3"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

// exactUsers is how many distinct keys are counted exactly; beyond it the count is an estimate within about 1 %.
const exactUsers = 8192

// userSet counts distinct targeting keys.
type userSet struct {
	turn   int64               // order of making
	recent [1024]atomic.Uint64 // keys just counted, by their low bits, so that most requests need no lock

	mu     sync.Mutex
	exact  map[uint64]struct{}
	sketch *hyperloglog.Sketch // set once exact is full
}

func (u *userSet) add(key string) {
	h := murmur3.StringSum64(key)
	slot := &u.recent[h%uint64(len(u.recent))]
	if h != 0 && slot.Load() == h {
		return
	}
	u.mu.Lock()
	u.insert(h)
	u.mu.Unlock()
	slot.Store(h)
}

func (u *userSet) insert(h uint64) {
	if u.sketch != nil {
		u.sketch.InsertHash(h)
		return
	}
	if u.exact == nil {
		u.exact = map[uint64]struct{}{}
	}
	u.exact[h] = struct{}{}
	if len(u.exact) > exactUsers {
		u.sketch = hyperloglog.New14()
		for k := range u.exact {
			u.sketch.InsertHash(k)
		}
		u.exact = nil
	}
}

func (u *userSet) count() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.sketch != nil {
		return int64(u.sketch.Estimate())
	}
	return int64(len(u.exact))
}

// Users counts the distinct targeting keys per ring and version of a service that it was exposed to so far.
func (g *Gateway) Users(service string) []fleet.UserCount {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []fleet.UserCount
	for k, u := range g.users {
		if n := u.count(); k.service == service && n > 0 {
			out = append(out, fleet.UserCount{Ring: k.ring, Version: k.version, Users: n})
		}
	}
	slices.SortFunc(out, func(a, b fleet.UserCount) int {
		return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.Ring, b.Ring))
	})
	return out
}

// savedUsers is one set as it is kept across restarts.
type savedUsers struct {
	Service string   `json:"service"`
	Version string   `json:"version"`
	Ring    string   `json:"ring"`
	Exact   []uint64 `json:"exact,omitempty"`
	Sketch  []byte   `json:"sketch,omitempty"`
}

// SaveUsers returns the counted users, as LoadUsers takes them. Keys are kept as hashes only.
func (g *Gateway) SaveUsers() ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := []savedUsers{}
	for k, u := range g.users {
		s := savedUsers{Service: k.service, Version: k.version, Ring: k.ring}
		u.mu.Lock()
		var err error
		if u.sketch != nil {
			s.Sketch, err = u.sketch.MarshalBinary()
		}
		for h := range u.exact {
			s.Exact = append(s.Exact, h)
		}
		u.mu.Unlock()
		if err != nil {
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
	sketches := make([]*hyperloglog.Sketch, len(in))
	for i, s := range in {
		if len(s.Sketch) > 0 {
			sketches[i] = hyperloglog.New14()
			if err := sketches[i].UnmarshalBinary(s.Sketch); err != nil {
				return errs.Wrap(errs.Invalid, err, "saved users of %s %s", s.Service, s.Version)
			}
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, s := range in {
		u := g.userSet(seriesKey{s.Service, s.Version, s.Ring})
		if err := u.load(s.Exact, sketches[i]); err != nil {
			return errs.Wrap(errs.Invalid, err, "saved users of %s %s", s.Service, s.Version)
		}
	}
	return nil
}

func (u *userSet) load(exact []uint64, sketch *hyperloglog.Sketch) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if sketch != nil {
		for h := range u.exact {
			sketch.InsertHash(h)
		}
		if u.sketch != nil {
			if err := sketch.Merge(u.sketch); err != nil {
				return err
			}
		}
		u.exact, u.sketch = nil, sketch
	}
	for _, h := range exact {
		u.insert(h)
	}
	return nil
}

// userSet returns the set of a series, made when there is none. g.mu is held.
func (g *Gateway) userSet(k seriesKey) *userSet {
	u := g.users[k]
	if u == nil {
		g.userTurn++
		u = &userSet{turn: g.userTurn}
		g.users[k] = u
	}
	return u
}

// forgetUsers drops the sets of services that are gone, and of a service's versions that left all but the latest:
// the control plane reads a version's last count after it was taken back. g.mu is held.
func (g *Gateway) forgetUsers(t *table, wanted map[versionKey]bool) {
	const keep = 64 // sets per service
	left := map[string][]seriesKey{}
	for k := range g.users {
		switch {
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
