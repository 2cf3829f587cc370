package objective

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/slo"
)

// The states of an objective.
const (
	Healthy    = "healthy"
	Burning    = "burning"    // an alert of it fires
	Exhausted  = "exhausted"  // its budget is spent, and no alert fires
	NoData     = "noData"     // nothing was measured lately: whether it is healthy is not known
	Unmeasured = "unmeasured" // its metrics are not read here
	Unread     = "unread"     // it was not read yet, or could not be
)

// Status is how an objective is.
type Status struct {
	Objective   string     `json:"objective" doc:"the SLO, with a number when it has several objectives"`
	SLO         string     `json:"slo"`
	Display     string     `json:"displayName,omitempty"`
	Description string     `json:"description,omitempty"`
	Service     string     `json:"service"`
	Owner       string     `json:"owner,omitempty"`
	Target      float64    `json:"target" doc:"share of good events that is wanted, 0 to 1"`
	Method      string     `json:"method" doc:"Occurrences, Timeslices or RatioTimeslices"`
	Window      string     `json:"window"`
	From        time.Time  `json:"from" doc:"where the window begins"`
	To          time.Time  `json:"to" doc:"where it ends"`
	State       string     `json:"state" enum:"healthy,burning,exhausted,noData,unmeasured,unread"`
	Reason      string     `json:"reason,omitempty" doc:"why it is not measured, or was not read"`
	Remaining   *float64   `json:"remaining,omitempty" doc:"part of the budget that is left: 1 is all, below 0 it is overspent"`
	Bad         float64    `json:"bad" doc:"bad events in the window"`
	Total       float64    `json:"total" doc:"all events in the window"`
	Known       time.Time  `json:"known,omitzero" doc:"from when on the window is known, when that is not its beginning"`
	Rates       []Rates    `json:"rates,omitempty" doc:"the pairs of windows of its alerts, with the burn rates"`
	Alerts      []Fires    `json:"alerts,omitempty" doc:"what fires"`
	LastData    time.Time  `json:"lastData,omitzero"`
	Read        time.Time  `json:"read,omitzero" doc:"when it was read last"`
	Restraint   *Restraint `json:"restraint,omitempty" doc:"what budgets of the service ask of its changes"`
	Notes       []string   `json:"notes,omitempty"`
}

// Rates are the burn rates over a pair of windows.
type Rates struct {
	Severity  string    `json:"severity"`
	Condition string    `json:"condition,omitempty"`
	Long      fleet.Dur `json:"long"`
	Short     fleet.Dur `json:"short,omitempty"`
	Op        string    `json:"op"`
	Threshold float64   `json:"threshold"`
	LongRate  *float64  `json:"longRate,omitempty" doc:"missing without data"`
	ShortRate *float64  `json:"shortRate,omitempty" doc:"missing without data"`
	Holds     bool      `json:"holds" doc:"whether both are beyond the threshold, with enough bad events"`
}

// Fires is an alert that fires.
type Fires struct {
	Severity  string    `json:"severity"`
	Condition string    `json:"condition,omitempty"`
	Since     time.Time `json:"since"`
}

// Report is an objective with how its budget was spent.
type Report struct {
	Status
	Points  []slo.Point `json:"points" doc:"how the budget of the window was spent"`
	Queries []Query     `json:"queries,omitempty" doc:"what is asked of the metrics, for a window of 5m"`
}

// Query are the expressions of a part.
type Query struct {
	Part  string `json:"part"`
	Bad   string `json:"bad"`
	Total string `json:"total"`
}

// rows are the burn rates of one condition; of all when c is nil.
func (w *watch) rows(only *slo.Condition) []Rates {
	var all []Rates
	o := w.objective
	read := func(d time.Duration) []slo.Count { return w.counts[d] }
	rate := func(d time.Duration) *float64 {
		cs := w.counts[d]
		if d == 0 || len(cs) == 0 {
			return nil
		}
		if b, ok := o.Burn(cs); ok {
			return &b
		}
		return nil
	}
	for i := range o.Conditions {
		c := &o.Conditions[i]
		if only != nil && c != only {
			continue
		}
		for _, r := range c.Rows {
			x := Rates{Severity: c.Severity, Condition: c.Name, Long: fleet.Dur(r.Long), Short: fleet.Dur(r.Short), Op: r.Op, Threshold: r.Burn,
				LongRate: rate(r.Long), ShortRate: rate(r.Short)}
			if w.counts != nil {
				x.Holds, _ = r.Holds(o, read)
			}
			all = append(all, x)
		}
	}
	return all
}

func (w *watch) status(now time.Time) Status {
	o := w.objective
	s := Status{Objective: o.ID, SLO: o.SLO, Display: o.Display, Description: o.Description, Service: o.Service, Owner: o.Owner, Target: o.Target,
		Method: o.Method, Window: o.Window.String(), LastData: w.state.LastData, Read: w.readAt, Notes: o.Notes, State: Unread, Reason: w.failed}
	s.From, s.To = o.Window.Bounds(now)
	if o.Unmeasured != "" {
		s.State, s.Reason = Unmeasured, o.Unmeasured
		return s
	}
	if w.counts == nil {
		return s
	}
	counts := w.window()
	s.Bad, s.Total = counts[0].Bad, counts[0].Total
	if r, ok := o.Remaining(counts, now); ok {
		s.Remaining = &r
	}
	if begin := w.books[0].Begin(w.low); begin.After(s.From.Add(w.slice())) {
		s.Known = begin
	}
	s.Rates = w.rows(nil)
	for key, f := range w.state.Alerts {
		if !f.Since.IsZero() && key != keyOf(nil) {
			s.Alerts = append(s.Alerts, Fires{f.Alert.Labels["severity"], f.Alert.Labels[slo.LabelCondition], f.Since})
		}
	}
	slices.SortFunc(s.Alerts, func(a, b Fires) int { return a.Since.Compare(b.Since) })
	counted := slices.ContainsFunc(w.books, func(b *slo.Book) bool { return !b.Last().IsZero() })
	if s.LastData = w.heard(); !counted {
		s.Remaining = nil
	}
	switch {
	case len(s.Alerts) > 0:
		s.State = Burning
	case !counted && s.Total > 0:
		s.State, s.Reason = NoData, fmt.Sprintf("Nothing is counted in full yet: the first %s are not over.", fleet.Dur(w.slice()))
	case s.Total == 0 || now.Sub(s.LastData) >= o.Quiet+w.slice(), w.state.Alerts[keyOf(nil)] != nil:
		s.State = NoData
	case s.Remaining != nil && *s.Remaining <= 0:
		s.State = Exhausted
	default:
		s.State = Healthy
	}
	return s
}

// publish lets readers see what was found.
func (e *Engine) publish(now time.Time) {
	var all []Status
	compiled, books := map[string]*slo.Objective{}, map[string][]slo.Book{}
	for _, id := range e.order() {
		w := e.watched[id]
		s := w.status(now)
		if r, ok := e.restrain[s.Service]; ok {
			s.Restraint = &r
		}
		all = append(all, s)
		compiled[id] = w.objective
		for _, b := range w.books {
			books[id] = append(books[id], b.Copy())
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.statuses, e.compiled, e.books = all, compiled, books
}

// List says how all objectives are, by their names.
func (e *Engine) List(ctx context.Context) ([]Status, error) {
	if err := e.fresh(ctx); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.statuses), nil
}

// Read says how an objective is, and how its budget was spent, at about so many points.
func (e *Engine) Read(ctx context.Context, id string, points int, now time.Time) (Report, error) {
	if err := e.fresh(ctx); err != nil {
		return Report{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.IndexFunc(e.statuses, func(s Status) bool { return s.Objective == id })
	if i < 0 {
		return Report{}, errs.E(errs.Missing, "there is no SLO %q", id)
	}
	r := Report{Status: e.statuses[i], Points: []slo.Point{}}
	o := e.compiled[id]
	if o.Unmeasured != "" {
		return r, nil
	}
	var books []*slo.Book
	for k := range e.books[id] {
		books = append(books, &e.books[id][k])
	}
	if ps := o.BurnDown(books, now, min(max(points, 10), 1000)); ps != nil {
		r.Points = ps
	}
	for _, p := range o.Parts {
		bad, total := p.Queries(5 * time.Minute)
		r.Queries = append(r.Queries, Query{p.Name, bad, total})
	}
	return r, nil
}
