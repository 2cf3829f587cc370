package tsdb

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"

	"github.com/ringfence/ringfence/internal/alert"
)

// holdMost is how long an alert whose data has gone is taken to fire: longer than that nobody waits for it to come back.
const (
	holdMost = time.Hour
	holdText = "1h"
)

// sending is an alert that fires as far as others know.
type sending struct {
	alert.Alert
	at     time.Time // when it was last sent
	held   time.Time // since when its data is gone; zero: it is there
	ending bool      // it was sent as over, and not taken yet
}

// Annotations that are added to what rules say.
const noData = "no_data"

// look compares what fires with what others know to fire, and sends what differs.
func (r *Rules) look(ctx context.Context, now time.Time) error {
	if !r.loaded {
		known, err := r.Firing(ctx)
		if err != nil {
			return err
		}
		for _, a := range known {
			if a.Annotations[RuleMark] != "" {
				r.sent[a.Fingerprint()] = &sending{Alert: a}
			}
		}
		r.loaded = true
	}
	states := r.states()
	var out []alert.Alert
	var mine []*sending
	for key, st := range states {
		if r.off(st.alert) { // the rule may have yet to be evaluated without it
			delete(states, key)
			continue
		}
		if !st.firing {
			continue
		}
		s := r.sent[key]
		if s == nil {
			s = &sending{Alert: st.alert}
			r.sent[key] = s
		}
		s.held, s.ending = time.Time{}, false
		s.Annotations, s.StartsAt, s.EndsAt = st.alert.Annotations, st.alert.StartsAt, time.Time{}
		if now.Sub(s.at) >= sendAgain {
			out, mine = append(out, s.Alert), append(mine, s)
		}
	}
	for key, s := range r.sent {
		if st, ok := states[key]; ok && st.firing {
			continue
		} else if r.off(s.Alert) {
			s.ending, s.EndsAt = true, now
			out, mine = append(out, s.Alert), append(mine, s)
			continue
		} else if ok && st.pending || !r.evaluated(s.Annotations[RuleMark]) {
			continue // after a restart it is not known yet
		}
		if a, due := r.gone(ctx, s, now); due {
			out, mine = append(out, a), append(mine, s)
		}
	}
	out = append(out, r.watch(now)...)
	if len(out) == 0 {
		return nil
	}
	if err := r.Send(ctx, out); err != nil {
		return err
	}
	for _, s := range mine {
		s.at = now
	}
	maps.DeleteFunc(r.sent, func(_ uint64, s *sending) bool { return s.ending })
	return nil
}

func (r *Rules) off(a alert.Alert) bool { return r.Off != nil && r.Off(a) }

// gone is what is sent of an alert that its rule does not make any more: its end, when the data that it came from is still
// there, or when nobody evaluates it any more; else it is held.
func (r *Rules) gone(ctx context.Context, s *sending, now time.Time) (alert.Alert, bool) {
	rule := r.find(s.Annotations[RuleMark])
	s.ending = true
	if rule != nil {
		vanished, err := r.vanished(ctx, rule, s, now)
		if err != nil {
			s.ending = false // it cannot be said now
			return alert.Alert{}, false
		}
		if vanished {
			if s.held.IsZero() {
				s.held, s.at = now, time.Time{}
			}
			s.ending = now.Sub(s.held) >= holdMost
			s.Annotations = maps.Clone(s.Annotations)
			s.Annotations[noData] = fmt.Sprintf("the data that it comes from has gone at %s: it is not known whether it still holds", s.held.UTC().Format(time.DateTime+" MST"))
		} else {
			delete(s.Annotations, noData)
		}
	}
	if s.ending {
		s.EndsAt = now
	}
	return s.Alert, s.ending || now.Sub(s.at) >= sendAgain
}

// state is how a rule sees one alert.
type state struct {
	alert           alert.Alert
	firing, pending bool
}

func (r *Rules) states() map[uint64]state {
	all := map[uint64]state{}
	for _, g := range r.groups() {
		for _, rule := range g.AlertingRules() {
			mark := g.File() + "/" + g.Name() + "/" + rule.Name()
			rule.ForEachActiveAlert(func(a *rules.Alert) {
				if !a.ResolvedAt.IsZero() {
					return
				}
				notes := a.Annotations.Map()
				notes[RuleMark] = mark
				out := alert.Alert{Labels: a.Labels.Map(), Annotations: notes, StartsAt: a.FiredAt.UTC(), GeneratorURL: r.Link + "/explore?query=" + url.QueryEscape(rule.Query().String())}
				if a.FiredAt.IsZero() {
					out.StartsAt = a.ActiveAt.UTC()
				}
				all[out.Fingerprint()] = state{out, a.State == rules.StateFiring, a.State == rules.StatePending}
			})
		}
	}
	return all
}

// evaluated says whether a rule was looked at since this process began, over as much as it looks at, so that what it does not
// make does not hold. A rule that is not declared any more was.
func (r *Rules) evaluated(mark string) bool {
	for _, g := range r.groups() {
		if !strings.HasPrefix(mark, g.File()+"/"+g.Name()+"/") {
			continue
		}
		rule := r.find(mark)
		if rule == nil {
			return true
		}
		return g.GetLastEvaluation().After(r.begun.Add(g.Interval() + min(reach(rule.Query()), holdMost)))
	}
	return true
}

func (r *Rules) find(mark string) *rules.AlertingRule {
	for _, g := range r.groups() {
		for _, rule := range g.AlertingRules() {
			if g.File()+"/"+g.Name()+"/"+rule.Name() == mark {
				return rule
			}
		}
	}
	return nil
}

// kin are the labels by which the data of one thing is told from another's: an alert is held while the metric is gone for
// these, not when one of its versions, instances or codes is.
var kin = []string{"service", "unit", "job"}

// vanished says whether a metric that the rule looks at was there within the last hour, and is not now.
func (r *Rules) vanished(ctx context.Context, rule *rules.AlertingRule, s *sending, now time.Time) (bool, error) {
	some := func(query string) (bool, error) {
		v, err := r.db.Query(ctx, query, now)
		return len(v) > 0, err
	}
	for _, sel := range selectors(rule.Query(), s.Labels) {
		for _, one := range sel { // a label that the rule adds, and no series has, tells nothing: then it is looked at without
			here, err := some("count(" + one + ")")
			if err != nil {
				return false, err
			}
			if here {
				break
			}
			was, err := some("count(last_over_time(" + one + "[" + holdText + "]))")
			if err != nil || was {
				return was, err
			}
		}
	}
	return false, nil
}

// selectors are the metrics of an expression: each with the labels of an alert that say what it is about, and without.
func selectors(expr parser.Expr, of map[string]string) [][]string {
	var all [][]string
	parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok || slices.ContainsFunc(path, asksForNothing) {
			return nil
		}
		var wide, narrow []string
		for _, m := range v.LabelMatchers {
			if m.Type == labels.MatchEqual && (m.Name == model.MetricNameLabel || slices.Contains(kin, m.Name)) {
				wide = append(wide, m.String())
			}
		}
		for _, name := range kin {
			if of[name] != "" {
				narrow = append(narrow, labels.MustNewMatcher(labels.MatchEqual, name, of[name]).String())
			}
		}
		if len(wide) > 0 {
			all = append(all, []string{"{" + strings.Join(slices.Concat(wide, narrow), ",") + "}", "{" + strings.Join(wide, ",") + "}"})
		}
		return nil
	})
	return all
}

// reach is how far back an expression looks.
func reach(expr parser.Expr) time.Duration {
	var most time.Duration
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.MatrixSelector:
			most = max(most, n.Range)
		case *parser.SubqueryExpr:
			most = max(most, n.Range)
		}
		return nil
	})
	return most
}

// asksForNothing says whether a function has a result when there is no data.
func asksForNothing(n parser.Node) bool {
	call, ok := n.(*parser.Call)
	return ok && strings.HasPrefix(call.Func.Name, "absent")
}
