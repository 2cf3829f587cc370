package track

import (
	"context"
	"database/sql"
	"sync"

	"github.com/ringfence/ringfence/internal/errs"
)

// What a name is of.
const (
	ofEnvironment = iota
	ofFlag
	ofMetric
	ofVariant
)

// maxNames bounds how many names of one sort an environment may bring: whoever makes names of user ids is told so early.
const maxNames = 10_000

type nameKey struct {
	environment string
	kind        int
	name        string
}

// names are the numbers of names. One that is let in and not stored yet has 0.
type names struct {
	mu     sync.RWMutex
	ids    map[nameKey]int64
	counts map[nameKey]int // by environment and kind
}

func loadNames(ctx context.Context, db *sql.DB) (*names, error) {
	n := &names{ids: map[nameKey]int64{}, counts: map[nameKey]int{}}
	rows, err := db.QueryContext(ctx, "SELECT id, environment, kind, name FROM names")
	if err != nil {
		return nil, kindOf(err, "read the names of flags and metrics")
	}
	defer rows.Close()
	for rows.Next() {
		var k nameKey
		var id int64
		if err := rows.Scan(&id, &k.environment, &k.kind, &k.name); err != nil {
			return nil, kindOf(err, "read the names of flags and metrics")
		}
		n.set(k, id)
	}
	return n, kindOf(rows.Err(), "read the names of flags and metrics")
}

// set gives a name its number.
func (n *names) set(k nameKey, id int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.put(k, id)
}

func (n *names) put(k nameKey, id int64) {
	if _, ok := n.ids[k]; !ok {
		n.counts[nameKey{environment: k.environment, kind: k.kind}]++
	}
	n.ids[k] = id
}

// id returns a name's number, 0 when nothing of it is stored.
func (n *names) id(environment string, kind int, name string) int64 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.ids[nameKey{environment, kind, name}]
}

// byID returns the names of an environment's variants by number.
func (n *names) variants(environment string) map[int64]string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	all := map[int64]string{}
	for k, id := range n.ids {
		if k.environment == environment && k.kind == ofVariant {
			all[id] = k.name
		}
	}
	return all
}

// admit lets the names of a batch in, unless there are too many.
func (n *names) admit(b *Batch) error {
	fresh := n.unknown(b)
	if len(fresh) == 0 {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, k := range fresh {
		if _, ok := n.ids[k]; ok {
			continue
		}
		if n.counts[nameKey{environment: k.environment, kind: k.kind}] >= maxNames {
			what := [...]string{"environments", "flags", "metrics", "variants"}[k.kind]
			return errs.E(errs.Invalid, "%q is new, and there are events of %d %s already, the most that are kept", k.name, maxNames, what).
				Next("Put what differs from user to user in the targeting key or the value, not in a name.")
		}
		n.put(k, 0)
	}
	return nil
}

func (n *names) unknown(b *Batch) []nameKey {
	var fresh []nameKey
	n.mu.RLock()
	defer n.mu.RUnlock()
	look := func(k nameKey) {
		if _, ok := n.ids[k]; !ok {
			fresh = append(fresh, k)
		}
	}
	look(nameKey{environment: b.Environment})
	for i := range b.Events {
		e := &b.Events[i]
		if e.Kind == Exposure {
			look(nameKey{b.Environment, ofFlag, e.Name})
			look(nameKey{b.Environment, ofVariant, e.Variant})
			continue
		}
		look(nameKey{b.Environment, ofMetric, e.Name})
	}
	return fresh
}
