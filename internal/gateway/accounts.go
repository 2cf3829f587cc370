package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/twmb/murmur3"

	"github.com/ringfence/ringfence/internal/account"
	"github.com/ringfence/ringfence/internal/fleet"
)

// keptMinutes is how many minutes wait to be told while the control plane is away; older ones are dropped.
const keptMinutes = 15

// accountRule says of a route to which account a request belongs, and counts by it.
type accountRule struct {
	from   fleet.Source
	byKey  bool // the targeting key is the account
	slow   time.Duration
	counts *accountCounts
}

// accountCounts are the requests of a service's accounts: those of the minute that passes, and of those that are over and not yet told.
type accountCounts struct {
	service, boot string

	mu     sync.Mutex
	minute int64
	sketch *account.Sketch
	over   []fleet.AccountMinute
}

// newAccountRule is the rule of a route; nil when it has none.
func newAccountRule(rt fleet.Route) *accountRule {
	a := rt.Account
	if a == nil {
		return nil
	}
	r := &accountRule{from: fleet.Source{Header: a.Header, Cookie: a.Cookie, Query: a.Query, JWT: a.JWT}, slow: a.SlowOver.D(time.Second)}
	switch from, ok := rt.Attributes[a.Attribute]; {
	case ok:
		r.from = from
	case a.Attribute == "targetingKey":
		r.byKey = true
	}
	return r
}

// keepAccounts gives the routes of a table the counts of their services, and drops those of services that are gone. g.mu is held.
func (g *Gateway) keepAccounts(t *table) {
	for name := range g.accounts {
		if t.services[name] == nil {
			delete(g.accounts, name)
		}
	}
	for name, r := range t.services {
		if r.account == nil {
			continue
		}
		if g.accounts[name] == nil {
			g.accounts[name] = &accountCounts{service: name, boot: g.boot, sketch: account.NewSketch(account.Kept)}
		}
		r.account.counts = g.accounts[name]
	}
}

// countAccount counts the exchange for its account; requests of none are not counted.
func (x *exchange) countAccount(took time.Duration) {
	a := x.rt.account
	id := x.user.TargetingKey
	if !a.byKey {
		id = x.plain(a.from)
		if id == "" && a.from.JWT != "" {
			id, _ = textOf(claim(x.r.Header.Get("Authorization"), a.from.JWT))
		}
	}
	if id == "" {
		return
	}
	outcome := account.Good
	switch {
	case x.code >= http.StatusInternalServerError:
		outcome = account.Failed
	case took > a.slow:
		outcome = account.Slow
	}
	k := x.last.series.key
	a.counts.add(x.start.Add(took).Unix()/60, accountID(id), outcome, k.version, k.ring)
}

// accountID is an ID that can be kept and shown: one that is too long, or no text, goes by a hash of it.
func accountID(id string) string {
	if len(id) <= account.MaxID && utf8.ValidString(id) {
		for _, r := range id {
			if !unicode.IsPrint(r) {
				return hashedID(id)
			}
		}
		return id
	}
	return hashedID(id)
}

func hashedID(id string) string {
	return "#" + strconv.FormatUint(murmur3.StringSum64(id), 16)
}

func (c *accountCounts) add(minute int64, id string, o account.Outcome, version, ring string) {
	c.mu.Lock()
	if minute > c.minute {
		c.close()
		c.minute = minute
	}
	c.sketch.Add(id, o, version, ring)
	c.mu.Unlock()
}

// close puts the minute that passed among those that are over. c.mu is held.
func (c *accountCounts) close() {
	if c.sketch.Empty() {
		return
	}
	m := fleet.AccountMinute{Service: c.service, Minute: c.minute, Boot: c.boot}
	m.Requests, m.Bad, m.Accounts = c.sketch.Take()
	c.over = append(c.over, m)
	if n := len(c.over) - keptMinutes; n > 0 {
		c.over = slices.Delete(c.over, 0, n)
	}
}

// AccountMinutes are the minutes that are over and were not told yet, oldest first. They stay until AccountsTold.
func (g *Gateway) AccountMinutes(now time.Time) []fleet.AccountMinute {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []fleet.AccountMinute
	for _, c := range g.accounts {
		c.mu.Lock()
		if minute := now.Unix() / 60; minute > c.minute {
			c.close()
			c.minute = minute // what is late counts in the next one: this one may be told already
		}
		all = append(all, c.over...)
		c.mu.Unlock()
	}
	slices.SortStableFunc(all, func(a, b fleet.AccountMinute) int { return int(a.Minute - b.Minute) })
	return all
}

// AccountsTold forgets minutes that were taken.
func (g *Gateway) AccountsTold(told []fleet.AccountMinute) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range told {
		c := g.accounts[m.Service]
		if c == nil {
			continue
		}
		c.mu.Lock()
		c.over = slices.DeleteFunc(c.over, func(o fleet.AccountMinute) bool { return o.Minute == m.Minute })
		c.mu.Unlock()
	}
}
