package slo

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
)

// Row is a pair of windows over which a burn rate is compared.
type Row struct {
	Long  time.Duration
	Short time.Duration // 0: the long one alone
	Burn  float64
	Op    string // gt, gte, lt, lte
}

// Condition is an alert of an objective: it holds while one of its rows does.
type Condition struct {
	Name     string // of an AlertCondition; "" for the workbook's
	Severity string // page, ticket or info
	Said     string // the severity as it was written
	Rows     []Row
	For      time.Duration
	Targets  []string // whom a policy wants to be told
	Quiet    bool     // of a policy that does not want a breach to be told
	NoData   bool     // of a policy that wants no data to be told
}

// month is the window that the workbook's table is for.
const month = 30 * 24 * time.Hour

// MinWindow is the shortest window that is asked for; a shorter one would hold too few scrapes to say anything.
const MinWindow = 15 * time.Second

// Workbook is the table of the SRE workbook's chapter on alerting on SLOs, for 30 days.
var Workbook = []Condition{
	{Severity: alert.Paging, Rows: []Row{
		{Long: time.Hour, Short: 5 * time.Minute, Burn: 14.4, Op: "gt"},
		{Long: 6 * time.Hour, Short: 30 * time.Minute, Burn: 6, Op: "gt"}}},
	{Severity: alert.Ticket, Rows: []Row{
		{Long: 24 * time.Hour, Short: 2 * time.Hour, Burn: 3, Op: "gt"},
		{Long: 72 * time.Hour, Short: 6 * time.Hour, Burn: 1, Op: "gt"}}},
}

// Scaled is the workbook's table for another window: the same burn rates spend the same parts of the budget.
func Scaled(period time.Duration) []Condition {
	scale := func(d time.Duration) time.Duration {
		return max(time.Duration(float64(d)*float64(period)/float64(month)).Round(time.Second), MinWindow)
	}
	out := make([]Condition, len(Workbook))
	for i, c := range Workbook {
		out[i] = c
		out[i].Rows = make([]Row, len(c.Rows))
		for j, r := range c.Rows {
			out[i].Rows[j] = Row{scale(r.Long), scale(r.Short), r.Burn, r.Op}
		}
	}
	return out
}

// Spent is the part of the budget that is spent when the row fires at its burn rate for the whole long window.
func (r Row) Spent(period time.Duration) float64 {
	return r.Burn * r.Long.Seconds() / period.Seconds()
}

// Detection is how long errors at a share of all requests go on before the row fires, after a clean history, with a budget of
// 1 - target; false when they never make it fire.
func (r Row) Detection(budget, share float64) (time.Duration, bool) {
	if share <= r.Burn*budget {
		return 0, false
	}
	return time.Duration(math.Round(r.Long.Seconds() * r.Burn * budget / share * float64(time.Second))), true
}

// Reset is how long after the errors end the row goes on firing, when they lasted at least as long as its short window; longer
// ones are ended by the short window, as the long one forgets later.
func (r Row) Reset(budget, share float64) time.Duration {
	w := r.Short
	if w == 0 {
		w = r.Long
	}
	return time.Duration(math.Round(w.Seconds() * (1 - r.Burn*budget/share) * float64(time.Second)))
}

// never says why a row can never fire with a budget: not even when everything fails.
func (r Row) never(worst float64) string {
	if (r.Op == "gt" && r.Burn < worst) || (r.Op == "gte" && r.Burn <= worst) || r.Op == "lt" || r.Op == "lte" {
		return ""
	}
	return fmt.Sprintf("a burn rate of %s is never reached: when everything fails the budget burns %s times as fast as it may", num(r.Burn), num(worst))
}

// compare says whether a burn rate is beyond the row's.
func (r Row) compare(burn float64) bool {
	switch r.Op {
	case "gte":
		return burn >= r.Burn
	case "lt":
		return burn < r.Burn
	case "lte":
		return burn <= r.Burn
	}
	return burn > r.Burn
}

// Holds says whether the row does, by what was counted over its windows, and whether anything was counted over the short one.
func (r Row) Holds(o *Objective, read func(time.Duration) []Count) (holds, known bool) {
	long := read(r.Long)
	burn, ok := o.Burn(long)
	short, sok := burn, ok
	if r.Short != 0 {
		short, sok = o.Burn(read(r.Short))
	}
	if !ok || !sok {
		return false, false
	}
	enough := r.Op == "lt" || r.Op == "lte" || o.bad(long) >= o.Guard
	return enough && r.compare(burn) && r.compare(short), true
}

// Holds says whether the condition does, and whether anything is known over its shortest window: while not, an alert that fires
// goes on firing.
func (c Condition) Holds(o *Objective, read func(time.Duration) []Count) (holds, known bool) {
	for _, r := range c.Rows {
		h, _ := r.Holds(o, read)
		holds = holds || h
	}
	return holds, o.known(read(c.Shortest()))
}

// Shortest is the shortest window of the condition.
func (c Condition) Shortest() time.Duration {
	var least time.Duration
	for _, r := range c.Rows {
		w := r.Short
		if w == 0 {
			w = r.Long
		}
		if least == 0 || w < least {
			least = w
		}
	}
	return least
}

func num(f float64) string { return strconv.FormatFloat(math.Round(f*1e6)/1e6, 'f', -1, 64) }
