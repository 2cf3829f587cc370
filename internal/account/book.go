package account

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

const (
	// Stays is how long a minute stays open for what other gateways, and such as were cut off, tell of it.
	Stays = 15 * time.Minute
	// Window is how long it is known how an account fared.
	Window = 28 * 24 * time.Hour
	// MaxAccounts is of how many accounts of a service that is known: those with most bad minutes, and of the others the latest.
	MaxAccounts = 1000

	openFor    = int64(Stays / time.Minute)
	mostOpen   = 4 * Kept // accounts in an open minute
	mostParts  = 256      // gateways' lives that tell of one minute
	latestBad  = 360      // bad minutes of an account that are known one by one
	hoursKept  = 49
	daysKept   = 29
	perHour    = 60
	perDay     = 24 * perHour
	wholeKept  = 6 * perHour
	mostPlaces = 256 // versions and rings, until those of no bad minute are dropped
)

// Minute is the number of a time's minute.
func Minute(at time.Time) int64 { return at.Unix() / 60 }

// At is when a minute began.
func At(minute int64) time.Time { return time.Unix(60*minute, 0).UTC() }

// Place is a version in a ring.
type Place struct {
	Version string `json:"version"`
	Ring    string `json:"ring"`
}

// Book is how the accounts of one service fared.
type Book struct {
	Folded   int64              `json:"folded"` // minutes up to this one are in the records, and nothing more is taken of them
	Open     []*Open            `json:"open,omitempty"`
	Whole    [][3]int64         `json:"whole,omitempty"` // of folded minutes: minute, requests and bad ones of all accounts
	Places   []Place            `json:"places,omitempty"`
	Accounts map[string]*Record `json:"accounts,omitempty"`
	Hashed   bool               `json:"hashed,omitempty"` // accounts go by hashes
}

// Open is a minute of which more may be told.
type Open struct {
	Minute   int64            `json:"m"`
	Parts    []string         `json:"of"` // who told of it
	Requests int64            `json:"r"`
	Bad      int64            `json:"b,omitempty"`
	Accounts map[string]*Part `json:"a"`
}

// Part is an account in a minute.
type Part struct {
	Requests int64      `json:"r"`
	Bad      int64      `json:"b,omitempty"`
	Missed   int64      `json:"x,omitempty"`
	Where    [][2]int64 `json:"w,omitempty"` // place and bad requests
}

// Record is how an account fared in minutes that are folded.
type Record struct {
	First int64     `json:"f"` // minute
	Last  int64     `json:"l"`
	Hours []Bucket  `json:"h,omitempty"`
	Days  []Bucket  `json:"d,omitempty"`
	Bad   []BadPart `json:"b,omitempty"` // the latest bad minutes
	total [2]int    // seen, bad
}

// Bucket is an hour or a day: when it began, how many minutes were judged, and how many of these were bad.
type Bucket [3]int64

// BadPart is a bad minute of an account.
type BadPart struct {
	Minute int64 `json:"m"`
	Part
}

// Judge says whether a minute of an account has enough requests to be judged, and whether it is bad, whatever was missed of it.
func Judge(p Part, c resource.Customers) (judged, bad bool) {
	judged = p.Requests >= int64(c.MinRequests)
	bad = judged && p.Bad >= int64(c.MinBad) && 100*float64(p.Bad) >= c.BadShare*float64(p.Requests+p.Missed)
	return judged, bad
}

// Take adds what a gateway of a unit tells of a minute; false when it is known already, or comes too late.
func (b *Book) Take(unit string, m fleet.AccountMinute) bool {
	if m.Minute <= b.Folded {
		return false
	}
	i, there := slices.BinarySearchFunc(b.Open, m.Minute, func(o *Open, at int64) int { return cmp.Compare(o.Minute, at) })
	if !there {
		b.Open = slices.Insert(b.Open, i, &Open{Minute: m.Minute, Accounts: map[string]*Part{}})
	}
	o, who := b.Open[i], unit+"/"+m.Boot
	if slices.Contains(o.Parts, who) || len(o.Parts) >= mostParts {
		return false
	}
	o.Parts = append(o.Parts, who)
	o.Requests += m.Requests
	o.Bad += m.Bad
	for _, a := range m.Accounts {
		p := o.Accounts[a.ID]
		if p == nil {
			if len(o.Accounts) >= mostOpen {
				continue
			}
			p = &Part{}
			o.Accounts[a.ID] = p
		}
		p.Requests += a.Requests
		p.Bad += a.Bad()
		p.Missed += a.Missed
		for _, w := range a.Where {
			p.at(b.place(Place{w.Version, w.Ring}), w.Bad)
		}
	}
	return true
}

func (p *Part) at(place, bad int64) {
	for i := range p.Where {
		if p.Where[i][0] == place {
			p.Where[i][1] += bad
			return
		}
	}
	if len(p.Where) < maxWhere {
		p.Where = append(p.Where, [2]int64{place, bad})
	}
}

func (b *Book) place(p Place) int64 {
	if i := slices.Index(b.Places, p); i >= 0 {
		return int64(i)
	}
	b.Places = append(b.Places, p)
	return int64(len(b.Places) - 1)
}

// Fold closes the minutes that are old enough, and forgets what is too old.
func (b *Book) Fold(now time.Time, c resource.Customers) {
	until := Minute(now) - openFor
	for len(b.Open) > 0 && b.Open[0].Minute <= until {
		b.fold(b.Open[0], c)
		b.Open = b.Open[1:]
	}
	b.Folded = max(b.Folded, until)
	b.forget(Minute(now))
}

func (b *Book) fold(o *Open, c resource.Customers) {
	if b.Accounts == nil {
		b.Accounts = map[string]*Record{}
	}
	b.Whole = append(b.Whole, [3]int64{o.Minute, o.Requests, o.Bad})
	for _, id := range slices.Sorted(maps.Keys(o.Accounts)) {
		p := o.Accounts[id]
		judged, bad := Judge(*p, c)
		if !judged {
			continue
		}
		r := b.Accounts[id]
		if r == nil {
			r = &Record{First: o.Minute}
			b.Accounts[id] = r
		}
		r.Last = o.Minute
		r.Hours = count(r.Hours, o.Minute, perHour, bad)
		r.Days = count(r.Days, o.Minute, perDay, bad)
		if bad {
			r.Bad = append(r.Bad, BadPart{o.Minute, *p})
		}
	}
}

// count puts a minute into its bucket, which is the last one or comes after it.
func count(all []Bucket, minute, size int64, bad bool) []Bucket {
	at := minute / size * size
	if n := len(all); n == 0 || all[n-1][0] != at {
		all = append(all, Bucket{at})
	}
	last := &all[len(all)-1]
	last[1]++
	if bad {
		last[2]++
	}
	return all
}

// forget drops what is older than is kept, and of more accounts than are kept those with the fewest bad minutes.
func (b *Book) forget(now int64) {
	older := func(than int64) func(Bucket) bool { return func(k Bucket) bool { return k[0] <= than } }
	hours, days := now-hoursKept*perHour, now-daysKept*perDay
	for id, r := range b.Accounts {
		r.Hours = slices.DeleteFunc(r.Hours, older(hours))
		r.Days = slices.DeleteFunc(r.Days, older(days))
		r.Bad = slices.DeleteFunc(r.Bad, func(p BadPart) bool { return p.Minute <= days })
		r.Bad = slices.Delete(r.Bad, 0, max(0, len(r.Bad)-latestBad))
		if len(r.Days) == 0 {
			delete(b.Accounts, id)
			continue
		}
		r.total = [2]int{}
		for _, d := range r.Days {
			r.total[0], r.total[1] = r.total[0]+int(d[1]), r.total[1]+int(d[2])
		}
	}
	if over := len(b.Accounts) - MaxAccounts; over > 0 {
		ids := slices.SortedFunc(maps.Keys(b.Accounts), func(x, y string) int {
			p, q := b.Accounts[x], b.Accounts[y]
			return cmp.Or(cmp.Compare(p.total[1], q.total[1]), cmp.Compare(p.Last, q.Last), cmp.Compare(x, y))
		})
		for _, id := range ids[:over] {
			delete(b.Accounts, id)
		}
	}
	b.Whole = slices.DeleteFunc(b.Whole, func(w [3]int64) bool { return w[0] <= now-wholeKept })
	if len(b.Places) > mostPlaces {
		b.repack()
	}
}

// repack drops the places of no bad minute.
func (b *Book) repack() {
	was := b.Places
	b.Places = nil
	again := func(where [][2]int64) {
		for i, w := range where {
			where[i][0] = b.place(was[w[0]])
		}
	}
	for _, r := range b.Accounts {
		for _, p := range r.Bad {
			again(p.Where)
		}
	}
	for _, o := range b.Open {
		for _, p := range o.Accounts {
			again(p.Where)
		}
	}
}

// Hash renames every account, once.
func (b *Book) Hash(name func(id string) string) {
	if b.Hashed {
		return
	}
	b.Hashed = true
	renamed := make(map[string]*Record, len(b.Accounts))
	for id, r := range b.Accounts {
		renamed[name(id)] = r
	}
	b.Accounts = renamed
	for _, o := range b.Open {
		parts := make(map[string]*Part, len(o.Accounts))
		for id, p := range o.Accounts {
			parts[name(id)] = p
		}
		o.Accounts = parts
	}
}

// Empty says whether nothing is known any more.
func (b *Book) Empty() bool { return len(b.Open) == 0 && len(b.Accounts) == 0 }
