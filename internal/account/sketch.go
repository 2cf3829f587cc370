package account

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/fleet"
)

const (
	// BadWeight is what a bad request weighs next to a good one.
	BadWeight = 64
	// Kept is how many accounts of a service a gateway keeps in a minute.
	Kept = 512
	// MaxID is how many bytes the ID of an account may have.
	MaxID = 128
	// maxWhere is in how many versions and rings the bad requests of an account are told apart; those in others are in none.
	maxWhere = 6
)

// Outcome is how a request ended for its account.
type Outcome int

// Slow and Failed requests are bad ones; one that is both is Failed.
const (
	Good Outcome = iota
	Slow
	Failed
)

// Sketch counts the requests of accounts. It is not safe for use by several goroutines.
type Sketch struct {
	size    int
	at      map[string]int32 // index of entries
	entries []entry
	heap    []node // the least key first; keys lag behind the weights, never ahead

	requests, bad int64 // of all accounts
}

type entry struct {
	fleet.AccountCount
	weight int64 // of what was counted, and of what may have been missed
}

type node struct {
	key int64
	i   int32
}

// NewSketch makes a sketch of so many accounts.
func NewSketch(size int) *Sketch {
	return &Sketch{size: size, at: make(map[string]int32)}
}

// Add counts one request. Of an account that is kept it allocates nothing, but for the first bad one in a version and ring.
func (s *Sketch) Add(id string, o Outcome, version, ring string) {
	w := int64(1)
	s.requests++
	if o != Good {
		w = BadWeight
		s.bad++
	}
	i, known := s.at[id]
	if !known {
		i = s.admit(id, w)
	} else {
		s.entries[i].weight += w
	}
	e := &s.entries[i]
	e.Requests++
	switch o {
	case Good:
		return
	case Failed:
		e.Failed++
	case Slow:
		e.Slow++
	}
	e.at(version, ring)
}

// at counts a bad request where it was.
func (e *entry) at(version, ring string) {
	for i := range e.Where {
		if e.Where[i].Version == version && e.Where[i].Ring == ring {
			e.Where[i].Bad++
			return
		}
	}
	if len(e.Where) < maxWhere {
		e.Where = append(e.Where, fleet.AccountWhere{Version: version, Ring: ring, Bad: 1})
	}
}

// admit keeps an account from now on, in the place of the lightest when there is none left.
func (s *Sketch) admit(id string, w int64) int32 {
	id = strings.Clone(id) // else it would hold the whole header that it is from
	if len(s.entries) < s.size {
		i := int32(len(s.entries))
		s.entries = append(s.entries, entry{AccountCount: fleet.AccountCount{ID: id}, weight: w})
		s.at[id] = i
		s.heap = append(s.heap, node{w, i})
		s.up(len(s.heap) - 1)
		return i
	}
	i := s.lightest()
	e := &s.entries[i]
	delete(s.at, e.ID)
	*e = entry{AccountCount: fleet.AccountCount{ID: id, Missed: e.weight}, weight: e.weight + w}
	s.at[id] = i
	return i
}

// lightest is the account with the least weight.
func (s *Sketch) lightest() int32 {
	for {
		top := &s.heap[0]
		if weight := s.entries[top.i].weight; weight != top.key {
			top.key = weight
			s.down()
			continue
		}
		return top.i
	}
}

func (s *Sketch) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if s.heap[parent].key <= s.heap[i].key {
			return
		}
		s.heap[parent], s.heap[i] = s.heap[i], s.heap[parent]
		i = parent
	}
}

func (s *Sketch) down() {
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(s.heap); child++ {
			if s.heap[child].key < s.heap[least].key {
				least = child
			}
		}
		if least == i {
			return
		}
		s.heap[least], s.heap[i] = s.heap[i], s.heap[least]
		i = least
	}
}

// Empty says whether nothing was counted.
func (s *Sketch) Empty() bool { return s.requests == 0 }

// Take returns what was counted, the accounts with most weight first, and begins anew.
func (s *Sketch) Take() (requests, bad int64, accounts []fleet.AccountCount) {
	slices.SortFunc(s.entries, func(a, b entry) int { return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.ID, b.ID)) })
	accounts = make([]fleet.AccountCount, len(s.entries))
	for i, e := range s.entries {
		accounts[i] = e.AccountCount
	}
	requests, bad = s.requests, s.bad
	clear(s.at)
	clear(s.entries)
	s.entries, s.heap, s.requests, s.bad = s.entries[:0], s.heap[:0], 0, 0
	return requests, bad, accounts
}
