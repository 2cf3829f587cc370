package track

import (
	"context"
	"database/sql"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/experiment"
)

// Summaries answers a query from everything that was acknowledged before it.
func (s *Store) Summaries(ctx context.Context, q Query) (*Result, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	if oldest := s.now().Add(-s.retention); q.Since.Before(oldest) {
		q.Since = oldest
	}
	res := &Result{Since: q.Since, Until: q.Until}
	if !q.Until.After(q.Since) {
		return res, nil
	}
	if err := s.Settle(ctx); err != nil {
		return nil, err
	}
	select {
	case s.reading <- struct{}{}:
		defer func() { <-s.reading }()
	case <-ctx.Done():
		return nil, kindOf(ctx.Err(), "wait for another summary")
	}
	tx, err := s.events.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // all is read as of one moment
	if err != nil {
		return nil, kindOf(err, "read events")
	}
	defer tx.Rollback()
	r := &summing{store: s, tx: tx, q: q, cap: q.Measure.Cap, variants: map[int64]*arm{}}
	if q.Measure.Winsorize > 0 {
		if err := r.findCap(ctx); err != nil {
			return nil, err
		}
		res.Cap = r.cap
	}
	if err := r.walk(ctx, r.add); err != nil {
		return nil, err
	}
	r.result(res)
	return res, nil
}

// summing is a query on its way.
type summing struct {
	store    *Store
	tx       *sql.Tx
	q        Query
	cap      float64
	variants map[int64]*arm
	several  int64
}

// arm is one variant: what each step of the series adds to the sums before it.
type arm struct {
	exposed int64
	steps   []experiment.Sums
	values  []float64 // for a quantile
}

// walk calls f for every user with what they did. The slices are good until f returns.
func (r *summing) walk(ctx context.Context, f func(exposed, []happened, []happened)) error {
	q, m := r.q, r.q.Measure
	flag := r.store.names.id(q.Environment, ofFlag, q.Flag)
	since, until := q.Since.UnixMilli(), q.Until.UnixMilli()
	users, err := openExposures(ctx, r.tx, flag, since, until, len(q.Where) > 0 || q.Take != nil)
	if users != nil {
		defer users.rows.Close()
	}
	if err != nil {
		return err
	}
	taken, err := openTaken(ctx, r.tx, q.Take)
	if err != nil {
		return err
	}
	defer taken.close()
	var top, bottom *happenings
	for _, c := range []struct {
		h    **happenings
		name string
	}{{&top, m.Event}, {&bottom, m.Denominator}} {
		if c.name == "" {
			continue
		}
		h, err := openHappenings(ctx, r.tx, r.store.names.id(q.Environment, ofMetric, c.name), since-m.Before.Milliseconds(), until, m.Where)
		if h != nil {
			defer func() { h.close(); _ = h.stmt.Close() }()
		}
		if err != nil {
			return err
		}
		*c.h = h
	}
	for {
		u, more, err := users.next()
		if err != nil || !more {
			return err
		}
		if !has(u.context, q.Where) {
			continue
		}
		switch ok, err := taken.takes(u); {
		case err != nil:
			return err
		case !ok:
			continue
		}
		above, err := top.of(u.user)
		if err != nil {
			return err
		}
		below, err := bottom.of(u.user)
		if err != nil {
			return err
		}
		f(u, above, below)
	}
}

// tally is what a user's events come to.
type tally struct {
	of         Of
	sum, last  float64
	count      int64
	proportion bool
}

func (t *tally) add(v float64) { t.sum, t.last, t.count = t.sum+v, v, t.count+1 }

func (t *tally) value(limit float64) float64 {
	v := t.sum
	switch {
	case t.proportion:
		v = min(float64(t.count), 1)
	case t.of == Count:
		v = float64(t.count)
	case t.of == Last:
		v = t.last
	}
	if limit > 0 {
		v = min(v, limit)
	}
	return v
}

func (r *summing) tallies() (top, bottom tally) {
	m := r.q.Measure
	return tally{of: m.Of, proportion: m.Kind == experiment.Proportion}, tally{of: m.DenominatorOf}
}

// end is when a user's events no longer count.
func (r *summing) end(u exposed) int64 {
	end := r.q.Until.UnixMilli()
	if w := r.q.Measure.Window; w > 0 {
		end = min(end, u.at+w.Milliseconds())
	}
	return end
}

// early reports whether a user is left out because the window has not passed.
func (r *summing) early(u exposed) bool {
	m := r.q.Measure
	return m.Complete && u.at+m.Window.Milliseconds() > r.q.Until.UnixMilli()
}

// between returns the events of a time: from belongs to it, until does not.
func between(all []happened, from, until int64) []happened {
	byTime := func(e happened, at int64) int {
		if e.at < at {
			return -1
		}
		return 1
	}
	i, _ := slices.BinarySearchFunc(all, from, byTime)
	j, _ := slices.BinarySearchFunc(all, until, byTime)
	return all[i:max(i, j)]
}

// findCap finds the value that Winsorize stands for: a quantile of all users' values.
func (r *summing) findCap(ctx context.Context) error {
	var values []float64
	err := r.walk(ctx, func(u exposed, above, _ []happened) {
		if u.several || r.early(u) {
			return
		}
		top, _ := r.tallies()
		for _, e := range between(above, u.at, r.end(u)) {
			top.add(e.value)
		}
		values = append(values, top.value(0))
	})
	if err != nil || len(values) == 0 {
		return err
	}
	slices.Sort(values)
	r.cap = values[max(int(math.Ceil(r.q.Measure.Winsorize*float64(len(values))))-1, 0)]
	return nil
}

// add takes one user in.
func (r *summing) add(u exposed, above, below []happened) {
	if u.several {
		r.several++
		return
	}
	a := r.variants[u.variant]
	if a == nil {
		a = &arm{steps: make([]experiment.Sums, r.step(r.q.Until.UnixMilli()-1)+1)}
		r.variants[u.variant] = a
	}
	if a.exposed++; r.early(u) {
		return
	}
	end := r.end(u)
	numerator, denominator := between(above, u.at, end), between(below, u.at, end)
	if r.q.Measure.Kind == experiment.Quantile {
		r.addValue(a, u, numerator)
		return
	}
	top, bottom := r.tallies()
	was := r.before(u, above, below)
	step := r.step(u.at)
	a.steps[step].Add(was)
	for i, j := 0, 0; i < len(numerator) || j < len(denominator); {
		at := int64(math.MaxInt64)
		if i < len(numerator) {
			at = numerator[i].at
		}
		if j < len(denominator) {
			at = min(at, denominator[j].at)
		}
		step = r.step(at)
		for ; i < len(numerator) && r.step(numerator[i].at) == step; i++ {
			top.add(numerator[i].value)
		}
		for ; j < len(denominator) && r.step(denominator[j].at) == step; j++ {
			bottom.add(denominator[j].value)
		}
		is := was
		is[experiment.Value], is[experiment.Denominator] = top.value(r.cap), bottom.value(0)
		change(&a.steps[step], was, is)
		was = is
	}
}

// addValue takes a user in for a quantile, which is one of the users who have a value.
func (r *summing) addValue(a *arm, u exposed, events []happened) {
	if len(events) == 0 {
		return
	}
	top, _ := r.tallies()
	for _, e := range events {
		top.add(e.value)
	}
	a.values = append(a.values, top.value(0))
}

// before is a user at the exposure: nothing yet, and the covariate.
func (r *summing) before(u exposed, above, below []happened) (user [4]float64) {
	d := r.q.Measure.Before.Milliseconds()
	if d == 0 {
		return user
	}
	top, bottom := r.tallies()
	for _, e := range between(above, u.at-d, u.at) {
		top.add(e.value)
	}
	for _, e := range between(below, u.at-d, u.at) {
		bottom.add(e.value)
	}
	user[experiment.Covariate], user[experiment.CovariateDenominator] = top.value(r.cap), bottom.value(0)
	return user
}

// change replaces one user's numbers in the sums.
func change(s *experiment.Sums, was, is [4]float64) {
	for i := range is {
		s.Sum[i] += is[i] - was[i]
		for j := range is {
			s.Product[i][j] += is[i]*is[j] - was[i]*was[j]
		}
	}
}

// step is the number of the series' step that a time is in; without a series there is one.
func (r *summing) step(at int64) int {
	d := r.q.Step.Milliseconds()
	if d == 0 || r.q.Measure.Kind == experiment.Quantile {
		return 0
	}
	return int(at/d - r.q.Since.UnixMilli()/d)
}

func (r *summing) result(res *Result) {
	res.Several = r.several
	names := r.store.names.variants(r.q.Environment)
	ids := make([]int64, 0, len(r.variants))
	for id := range r.variants {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b int64) int { return strings.Compare(names[a], names[b]) })
	res.Exposed = map[string]int64{}
	for _, id := range ids {
		res.Exposed[names[id]] = r.variants[id].exposed
	}
	m := r.q.Measure
	if m.Kind == experiment.Quantile {
		for _, id := range ids {
			res.Variants = append(res.Variants, experiment.QuantileOfValues(names[id], r.variants[id].values, m.Quantile))
		}
		return
	}
	sums := make([]experiment.Sums, len(ids))
	for n := range r.step(r.q.Until.UnixMilli()-1) + 1 {
		var at []experiment.Summary
		for i, id := range ids {
			sums[i].Merge(r.variants[id].steps[n])
			at = append(at, sums[i].Summary(names[id], m.Kind, m.Before > 0))
		}
		if d := r.q.Step; d > 0 {
			end := time.UnixMilli((r.q.Since.UnixMilli()/d.Milliseconds() + int64(n) + 1) * d.Milliseconds()).UTC()
			if end.After(r.q.Until) {
				end = r.q.Until
			}
			res.Series = append(res.Series, Point{At: end, Variants: at})
		}
		res.Variants = at
	}
}
