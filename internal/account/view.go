package account

import (
	"cmp"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/resource"
)

// Report is how the accounts of a service fared.
type Report struct {
	Service   string             `json:"service"`
	Since     time.Time          `json:"since" doc:"to the hour, beyond two days to the day"`
	Until     time.Time          `json:"until"`
	Rule      resource.Customers `json:"rule" doc:"what is asked for each account, defaults filled in"`
	SlowOver  string             `json:"slowOver" doc:"requests that took longer are bad"`
	Hashed    bool               `json:"hashed" doc:"accounts go by keyed hashes"`
	Known     int                `json:"known" doc:"accounts that had a minute with enough requests"`
	WithBad   int                `json:"withBad" doc:"of these, those that had a bad minute"`
	Missed    int                `json:"missed" doc:"of these, those that miss the objective over 28 days"`
	StripStep int                `json:"stripStep" doc:"minutes of one cell of a strip"`
	Accounts  []Fared            `json:"accounts" doc:"those with most bad minutes first"`
}

// Fared is how one account fared.
type Fared struct {
	Account  string    `json:"account"`
	Minutes  int       `json:"minutes" doc:"with enough requests to be judged"`
	Bad      int       `json:"bad" doc:"minutes that were bad"`
	Burn     float64   `json:"burn" doc:"how many times faster than the objective allows bad minutes came"`
	Last     time.Time `json:"last,omitzero" doc:"its latest bad minute"`
	Worst    *Worst    `json:"worst,omitempty" doc:"the minute with most bad requests"`
	Where    []Where   `json:"where,omitempty" doc:"where the bad requests of its bad minutes were, most first"`
	Strip    []int     `json:"strip" doc:"bad minutes over time, a cell each stripStep minutes, from since on"`
	Requests int64     `json:"requests" doc:"in its bad minutes"`
	BadOnes  int64     `json:"badRequests" doc:"of these, failed or slow"`
	Budget   Budget    `json:"budget" doc:"over the whole 28 days"`
}

// Budget is how an account fared against the objective.
type Budget struct {
	Minutes int     `json:"minutes"`
	Bad     int     `json:"bad"`
	Good    float64 `json:"good" doc:"percent of its minutes"`
	Met     bool    `json:"met"`
	Spent   float64 `json:"spent" doc:"of the bad minutes that the objective allows for so many, 1 is all"`
}

// Worst is a minute.
type Worst struct {
	At       time.Time `json:"at"`
	Requests int64     `json:"requests"`
	Bad      int64     `json:"bad"`
}

// Where is how many bad requests were in a version and ring.
type Where struct {
	Place
	Bad int64 `json:"bad"`
}

const mostCells = 96

// steps are the lengths that a cell of a strip can have.
var steps = []int64{1, 2, 5, 15, perHour, perDay}

// span is what is looked at: from a whole hour, or day, on.
type span struct {
	from, until, step int64
	days              bool
}

func spanOf(now time.Time, since time.Duration) span {
	s := span{until: Minute(now), days: since > 48*time.Hour}
	s.from = (s.until - int64(since/time.Minute)) / perHour * perHour
	if s.days {
		s.from = s.from / perDay * perDay
	}
	for _, s.step = range steps {
		if (s.until-s.from)/s.step < mostCells && (!s.days || s.step == perDay) {
			break
		}
	}
	return s
}

// View is how the accounts fared since some time before now; at most limit of them, or the one named.
func (b *Book) View(c resource.Customers, now time.Time, since time.Duration, only string, limit int) Report {
	s := spanOf(now, since)
	out := Report{Since: At(s.from), Until: now.UTC(), Rule: c, Hashed: b.Hashed, StripStep: int(s.step), Accounts: []Fared{}}
	parts := map[string][]BadPart{} // of open minutes
	seen := map[string][]int64{}
	for _, o := range b.Open {
		for id, p := range o.Accounts {
			judged, bad := Judge(*p, c)
			if judged {
				seen[id] = append(seen[id], o.Minute)
			}
			if bad {
				parts[id] = append(parts[id], BadPart{o.Minute, *p})
			}
		}
	}
	ids := map[string]bool{}
	for id := range b.Accounts {
		ids[id] = true
	}
	for id := range seen {
		ids[id] = true
	}
	for id := range ids {
		f := b.fared(id, s, c, seen[id], parts[id])
		if f.Minutes == 0 && f.Bad == 0 {
			continue
		}
		out.Known++
		if f.Bad > 0 {
			out.WithBad++
		}
		if !f.Budget.Met {
			out.Missed++
		}
		if only == "" || id == only {
			out.Accounts = append(out.Accounts, f)
		}
	}
	slices.SortFunc(out.Accounts, func(x, y Fared) int {
		return cmp.Or(cmp.Compare(y.Bad, x.Bad), cmp.Compare(y.BadOnes, x.BadOnes), cmp.Compare(x.Account, y.Account))
	})
	out.Accounts = out.Accounts[:min(limit, len(out.Accounts))]
	return out
}

// fared is one account, from its record and the open minutes in which it was judged, and was bad.
func (b *Book) fared(id string, s span, c resource.Customers, seen []int64, bad []BadPart) Fared {
	f := Fared{Account: id, Strip: make([]int, (s.until-s.from)/s.step+1)}
	r := b.Accounts[id]
	if r == nil {
		r = &Record{}
	}
	buckets, size := r.Hours, int64(perHour)
	if s.days {
		buckets, size = r.Days, perDay
	}
	add := func(minute int64, n int) {
		if i := (minute - s.from) / s.step; minute >= s.from && int(i) < len(f.Strip) {
			f.Strip[i] += n
		}
	}
	for _, k := range buckets {
		if k[0] < s.from {
			continue
		}
		f.Minutes += int(k[1])
		f.Bad += int(k[2])
		if s.step >= size {
			add(k[0], int(k[2]))
		}
	}
	for _, k := range r.Days {
		f.Budget.Minutes, f.Budget.Bad = f.Budget.Minutes+int(k[1]), f.Budget.Bad+int(k[2])
	}
	f.Budget.Minutes, f.Budget.Bad = f.Budget.Minutes+len(seen), f.Budget.Bad+len(bad)
	for _, m := range seen {
		if m >= s.from {
			f.Minutes++
		}
	}
	where := map[int64]int64{}
	for i, p := range slices.Concat(r.Bad, bad) {
		if p.Minute < s.from {
			continue
		}
		open := i >= len(r.Bad)
		if open {
			f.Bad++
		}
		if open || s.step < size {
			add(p.Minute, 1)
		}
		f.see(p)
		for _, w := range p.Where {
			where[w[0]] += w[1]
		}
	}
	for i, n := range where {
		f.Where = append(f.Where, Where{b.Places[i], n})
	}
	slices.SortFunc(f.Where, func(x, y Where) int {
		return cmp.Or(cmp.Compare(y.Bad, x.Bad), cmp.Compare(x.Version, y.Version), cmp.Compare(x.Ring, y.Ring))
	})
	f.spend(c.Objective)
	return f
}

func (f *Fared) see(p BadPart) {
	f.Requests += p.Requests
	f.BadOnes += p.Bad
	f.Last = At(p.Minute)
	if f.Worst == nil || p.Bad > f.Worst.Bad {
		f.Worst = &Worst{At(p.Minute), p.Requests, p.Bad}
	}
}

// spend compares with the objective.
func (f *Fared) spend(objective float64) {
	allowed := 1 - objective/100
	if f.Minutes > 0 {
		f.Burn = float64(f.Bad) / float64(f.Minutes) / allowed
	}
	b := &f.Budget
	b.Good, b.Met = 100, true
	if b.Minutes > 0 {
		b.Good = 100 * (1 - float64(b.Bad)/float64(b.Minutes))
		b.Spent = float64(b.Bad) / float64(b.Minutes) / allowed
		b.Met = b.Good >= objective
	}
}
