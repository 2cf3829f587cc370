package logs

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Tally counts entries as they are seen.
type Tally struct {
	q     CountQuery
	steps int
	by    map[string]*Count
	rest  *Count
}

const maxSteps = 1000

// NewTally counts as q says.
func NewTally(q CountQuery) *Tally {
	t := &Tally{q: q, by: map[string]*Count{}}
	if q.Step > 0 && !q.From.IsZero() && q.To.After(q.From) {
		t.steps = int(min(maxSteps, (q.To.Sub(q.From)+q.Step-1)/q.Step))
	}
	return t
}

// Add counts one entry that is meant.
func (t *Tally) Add(e *Entry) {
	values := make([]string, len(t.q.By))
	for i, name := range t.q.By {
		values[i] = e.Value(name)
	}
	key := strings.Join(values, "\x00")
	c := t.by[key]
	if c == nil && len(t.by) < MaxCounts {
		c = t.count(values)
		t.by[key] = c
	}
	if c == nil {
		if t.rest == nil {
			t.rest = t.count(nil)
		}
		c = t.rest
	}
	c.Entries++
	if e.Severity >= Error {
		c.Errors++
	}
	if t.steps > 0 {
		if i := int(e.Time.Sub(t.q.From) / t.q.Step); i >= 0 && i < t.steps {
			c.Steps[i]++
		}
	}
}

func (t *Tally) count(values []string) *Count {
	c := &Count{Values: values}
	if t.steps > 0 {
		c.Steps = make([]int64, t.steps)
	}
	return c
}

// Counts are what was counted.
func (t *Tally) Counts() []Count {
	out := make([]Count, 0, len(t.by)+1)
	for _, c := range t.by {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Entries, a.Entries), slices.Compare(a.Values, b.Values))
	})
	if t.rest != nil {
		out = append(out, *t.rest)
	}
	return out
}

// StepFor is a step that divides a time into about n.
func StepFor(d time.Duration, n int) time.Duration {
	for _, s := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 6 * time.Hour} {
		if d/s <= time.Duration(n) {
			return s
		}
	}
	return 24 * time.Hour
}
