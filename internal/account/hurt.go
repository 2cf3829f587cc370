package account

import (
	"cmp"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/resource"
)

// Tally is a number of requests and how many of them were bad.
type Tally struct{ Requests, Bad int64 }

// Share is the share of bad ones.
func (t Tally) Share() float64 {
	if t.Requests == 0 {
		return 0
	}
	return float64(t.Bad) / float64(t.Requests)
}

func (t *Tally) add(requests, bad int64) { t.Requests, t.Bad = t.Requests+requests, t.Bad+bad }

// Sufferer is an account with bad minutes, in some time.
type Sufferer struct {
	Account string
	Since   time.Time // the first bad minute
	Minutes int       // bad ones
	Own     Tally     // its requests in that time, or in its bad minutes when these are all that is known
	All     Tally     // those of all accounts in the same minutes
	Where   []Where
}

// Version is the one in which nearly all of its bad requests were; "" when there is none.
func (s Sufferer) Version() string {
	by, all := map[string]int64{}, int64(0)
	for _, w := range s.Where {
		by[w.Version] += w.Bad
		all += w.Bad
	}
	for v, n := range by {
		if 10*n >= 9*all {
			return v
		}
	}
	return ""
}

// Rest are the requests of everybody else.
func (s Sufferer) Rest() Tally {
	return Tally{max(0, s.All.Requests-s.Own.Requests), max(0, s.All.Bad-s.Own.Bad)}
}

// Alone is by how many times more of an account's requests must be bad than of the others' for the account to be hurt alone.
const Alone = 3

// Hurt are the accounts that suffer now while others do not, most bad requests first, and together says that they are so many that this
// is one trouble. Of a service that hurts everybody nobody is hurt alone: that is told by what watches the whole.
func (b *Book) Hurt(c resource.Customers, now time.Time) (hurt []Sufferer, together bool) {
	last := Minute(now) - 1
	first := last - int64(c.Of) + 1
	byID, whole := map[string]*Sufferer{}, Tally{}
	places := map[string]map[int64]int64{}
	for _, o := range b.Open {
		if o.Minute < first || o.Minute > last {
			continue
		}
		whole.add(o.Requests, o.Bad)
		for id, p := range o.Accounts {
			s := byID[id]
			if s == nil {
				s = &Sufferer{Account: id}
				byID[id], places[id] = s, map[int64]int64{}
			}
			s.Own.add(p.Requests, p.Bad)
			for _, w := range p.Where {
				places[id][w[0]] += w[1]
			}
			if _, bad := Judge(*p, c); bad {
				if s.Minutes++; s.Minutes == 1 {
					s.Since = At(o.Minute)
				}
			}
		}
	}
	rest := whole
	for id, s := range byID {
		if s.Minutes < c.Minutes {
			continue
		}
		rest.add(-s.Own.Requests, -s.Own.Bad)
		s.All, s.Where = whole, b.where(places[id])
		hurt = append(hurt, *s)
	}
	hurt = slices.DeleteFunc(hurt, func(s Sufferer) bool { return s.Own.Share() < Alone*rest.Share() })
	together = len(hurt) >= c.Accounts
	if together && 100*whole.Share() >= c.BadShare {
		return nil, false
	}
	slices.SortFunc(hurt, func(x, y Sufferer) int {
		return cmp.Or(cmp.Compare(y.Own.Bad, x.Own.Bad), cmp.Compare(x.Account, y.Account))
	})
	return hurt, together
}

func (b *Book) where(places map[int64]int64) []Where {
	var all []Where
	for i, n := range places {
		all = append(all, Where{b.Places[i], n})
	}
	slices.SortFunc(all, func(x, y Where) int {
		return cmp.Or(cmp.Compare(y.Bad, x.Bad), cmp.Compare(x.Version, y.Version), cmp.Compare(x.Ring, y.Ring))
	})
	return all
}

// Suffered are the accounts that had bad minutes between two times while others fared better, each compared with everybody else in those
// very minutes: most bad requests first, at most so many. It is known for some hours.
func (b *Book) Suffered(c resource.Customers, from, to time.Time, most int) []Sufferer {
	first, last := Minute(from), Minute(to)
	whole := map[int64]Tally{}
	for _, w := range b.Whole {
		whole[w[0]] = Tally{w[1], w[2]}
	}
	byID, places := map[string]*Sufferer{}, map[string]map[int64]int64{}
	add := func(id string, p BadPart) {
		all, known := whole[p.Minute]
		if p.Minute < first || p.Minute > last || !known {
			return
		}
		s := byID[id]
		if s == nil {
			s = &Sufferer{Account: id, Since: At(p.Minute)}
			byID[id], places[id] = s, map[int64]int64{}
		}
		s.Minutes++
		s.Own.add(p.Requests, p.Bad)
		s.All.add(all.Requests, all.Bad)
		for _, w := range p.Where {
			places[id][w[0]] += w[1]
		}
	}
	for id, r := range b.Accounts {
		for _, p := range r.Bad {
			add(id, p)
		}
	}
	for _, o := range b.Open {
		whole[o.Minute] = Tally{o.Requests, o.Bad}
		for id, p := range o.Accounts {
			if _, bad := Judge(*p, c); bad {
				add(id, BadPart{o.Minute, *p})
			}
		}
	}
	var out []Sufferer
	for id, s := range byID {
		if s.Own.Share() >= Alone*s.Rest().Share() {
			s.Where = b.where(places[id])
			out = append(out, *s)
		}
	}
	slices.SortFunc(out, func(x, y Sufferer) int {
		return cmp.Or(cmp.Compare(y.Own.Bad, x.Own.Bad), cmp.Compare(x.Account, y.Account))
	})
	return out[:min(most, len(out))]
}
