package slo

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/resource"
)

// Annotations of an SLO that say what OpenSLO has no word for.
const (
	annotationGuard  = "ringfence.dev/min-bad" // fewest bad events over the long window before an alert
	annotationNoData = "ringfence.dev/no-data" // ticket, page or ignore
	annotationAlerts = "ringfence.dev/alerts"  // workbook, policies, both or none
)

// Compiled is one SLO of a set.
type Compiled struct {
	Index      int // of the resource in the set
	Name       string
	Objectives []Objective
	Problems   []resource.Problem // with them there are no objectives
}

// Compile puts the SLOs of a set together with what they refer to, in the order of their names.
func Compile(set []resource.Resource) []Compiled {
	lib := libraryOf(set)
	var all []Compiled
	for i, r := range set {
		if r.Kind != resource.KindSLO {
			continue
		}
		c := Compiled{Index: i, Name: r.Metadata.Name}
		b := &builder{lib: lib, name: r.Metadata.Name}
		if c.Problems = Of(r); len(c.Problems) == 0 {
			c.Objectives = b.build(r)
			c.Problems = b.list
		}
		for k := range c.Problems {
			p := &c.Problems[k]
			p.Index, p.Kind, p.Name = i, r.Kind, r.Metadata.Name
		}
		if len(c.Problems) > 0 {
			c.Objectives = nil
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Compiled) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// library is what SLOs refer to.
type library struct {
	indicators map[string]indicatorSpec
	sources    map[string]string
	policies   map[string]policySpec
	conditions map[string]conditionSpec
	services   map[string]resource.Service
}

func libraryOf(set []resource.Resource) library {
	l := library{map[string]indicatorSpec{}, map[string]string{}, map[string]policySpec{}, map[string]conditionSpec{}, map[string]resource.Service{}}
	for _, r := range set {
		name := r.Metadata.Name
		switch r.Kind {
		case resource.KindSLI:
			d, _ := readSLI(r.Spec)
			l.indicators[name] = d.Spec
		case resource.KindDataSource:
			d, _ := readSource(r.Spec)
			l.sources[name] = d.Spec.Type
		case resource.KindAlertPolicy:
			d, _ := readPolicy(r.Spec)
			l.policies[name] = d.Spec
		case resource.KindAlertCondition:
			d, _ := readCondition(r.Spec)
			l.conditions[name] = d.Spec
		case resource.KindService:
			if s, err := resource.As[resource.Service](r); err == nil {
				l.services[name] = s
			}
		}
	}
	return l
}

// builder makes the objectives of one SLO.
type builder struct {
	checker
	lib     library
	name    string
	service string
	watched [2]string // by the ratio that was read last, when it is on all requests of a service
}

func (b *builder) refuse(path, expected, format string, args ...any) {
	b.add("spec."+path, expected, format, args...)
}

func (b *builder) build(r resource.Resource) []Objective {
	raw, short := r.Spec, isShort(r.Spec)
	if short {
		s, _ := readShort(raw)
		raw = s.Document(r.Metadata.Name)
	}
	d, ps := readSLO(raw)
	if len(ps) > 0 {
		b.list = ps
		return nil
	}
	service := b.lib.services[d.Spec.Service]
	base := Objective{SLO: b.name, Display: d.Metadata.DisplayName, Description: d.Spec.Description, Service: d.Spec.Service, Method: d.Spec.BudgetingMethod,
		Owner: service.Owner, Runbook: service.Runbook, Impact: service.Impact}
	b.service = d.Spec.Service
	base.Window = windowOf(d.Spec.TimeWindow)
	base.Quiet = max(quietFor(base.Window.Length.Duration()), time.Minute)
	alerts := b.annotations(d.Metadata.Annotations, &base)
	var all []Objective
	if composite(d.Spec) {
		all = []Objective{b.composite(base, d.Spec)}
	} else {
		for i := range d.Spec.Objectives {
			all = append(all, b.single(base, d.Spec, i))
		}
	}
	for i := range all {
		if all[i].Unmeasured == "" && len(b.list) == 0 {
			b.alert(&all[i], d.Spec, alerts, short)
		}
	}
	return all
}

func composite(s sloSpec) bool {
	return s.Objectives[0].Indicator != nil || s.Objectives[0].IndicatorRef != ""
}

func windowOf(ws []timeWindow) Window {
	w := Window{Length: Length{30, 'd'}}
	if len(ws) == 0 {
		return w
	}
	w.Length, _ = ParseLength(ws[0].Duration) // checked before
	if c := ws[0].Calendar; c != nil {
		w.Start, _ = c.start()
	}
	return w
}

func (b *builder) annotations(a map[string]string, o *Objective) (alerts string) {
	o.Guard, o.NoData = DefaultGuard, NoDataTicket
	if o.Method != Occurrences {
		o.Guard = 0 // slices of time are not many or few
	}
	at := func(key string) string { return resource.Field("spec.metadata.annotations", key) }
	if v, ok := a[annotationGuard]; ok {
		n, err := strconv.ParseUint(v, 10, 20)
		b.need(err == nil, at(annotationGuard), "a whole number", "got %.40q", v)
		o.Guard = float64(n)
	}
	if v, ok := a[annotationNoData]; ok {
		b.need(slices.Contains([]string{NoDataTicket, NoDataPage, NoDataIgnore}, v), at(annotationNoData), "ticket, page or ignore", "got %.40q", v)
		o.NoData = v
	}
	alerts = a[annotationAlerts]
	b.need(slices.Contains([]string{"", "workbook", "policies", "both", "none"}, alerts), at(annotationAlerts), "workbook, policies, both or none", "got %.40q", alerts)
	return alerts
}

func (b *builder) single(o Objective, s sloSpec, i int) Objective {
	spec := s.Objectives[i]
	o.ID = o.SLO
	if len(s.Objectives) > 1 {
		o.ID = fmt.Sprintf("%s.%d", o.SLO, i+1)
	}
	if spec.DisplayName != "" && len(s.Objectives) > 1 {
		o.Display = strings.TrimSpace(o.Display + ": " + spec.DisplayName)
	}
	o.Target = spec.target()
	at := resource.Item("spec.objectives", i)
	ind, where := b.indicatorOf(s.Indicator, s.IndicatorRef, "spec")
	of, why := b.events(ind, spec, where, at, o.Window)
	o.Unmeasured, o.watches = why, b.watched
	part := Part{Name: b.name, Budget: rounded(1 - o.Target), Weight: 1, read: of}
	if o.Method != Occurrences && of != nil {
		part.slice, _ = spec.slice()
		target := 0.0
		if spec.TimeSliceTarget != nil {
			target = *spec.TimeSliceTarget
		}
		part.read = sliced(of, part.slice, target, o.Method == RatioTimeslices)
	}
	o.Parts = []Part{part}
	return o
}

func (b *builder) composite(o Objective, s sloSpec) Objective {
	o.ID, o.Composite = o.SLO, true
	var read []events
	var targets []float64
	var slice time.Duration
	for i, spec := range s.Objectives {
		at := resource.Item("spec.objectives", i)
		ind, where := b.indicatorOf(spec.Indicator, spec.IndicatorRef, at)
		of, why := b.events(ind, spec, where, at, o.Window)
		if why != "" {
			o.Unmeasured = why
		}
		part := Part{Name: spec.DisplayName, Budget: rounded(1 - spec.target()), Weight: 1, read: of}
		if part.Name == "" {
			part.Name = spec.IndicatorRef
		}
		if spec.CompositeWeight != nil {
			part.Weight = *spec.CompositeWeight
		}
		o.Target = max(o.Target, spec.target())
		if part.slice, _ = spec.slice(); o.Method == Occurrences {
			part.slice = 0
		}
		if o.Method == RatioTimeslices && of != nil {
			part.read = sliced(of, part.slice, 0, true)
		}
		if i > 0 && part.slice != slice {
			b.refuse(at+".timeSliceWindow", "the same in all objectives of a composite", "is another one than in the first")
		}
		slice, read = part.slice, append(read, of)
		if spec.TimeSliceTarget != nil {
			targets = append(targets, *spec.TimeSliceTarget)
		}
		o.Parts = append(o.Parts, part)
	}
	if o.Method == Timeslices && o.Unmeasured == "" && len(b.list) == 0 {
		o.Parts = []Part{{Name: b.name, Budget: rounded(1 - o.Target), Weight: 1, read: anyBad(read, targets, slice), slice: slice}}
	}
	return o
}

func (b *builder) indicatorOf(inline *inlineIndicator, ref, at string) (indicatorSpec, string) {
	if inline != nil {
		return inline.Spec, at + ".indicator.spec"
	}
	ind, ok := b.lib.indicators[ref]
	if !ok {
		b.refuse(at+".indicatorRef", "the name of an SLI in the same set or applied before", "there is no SLI %.80q", ref)
	}
	return ind, at + ".indicatorRef"
}

// events is how an indicator is read, or why it is not read here.
func (b *builder) events(ind indicatorSpec, spec objectiveSpec, where, at string, w Window) (events, string) {
	step := promText(resolution(w.Length.Duration()))
	b.watched = [2]string{}
	if m := ind.ThresholdMetric; m != nil {
		s, why := b.source(m, where+".thresholdMetric")
		if spec.Op == "" || spec.Value == nil {
			b.refuse(at, "op and value with a threshold metric", "lacks one of them")
			return nil, why
		}
		if s.ours != nil {
			b.refuse(where+".thresholdMetric", "ratioMetric with type Ringfence", "requests are counted, and are no value to compare")
			return nil, why
		}
		return threshold(s, spec.Op, *spec.Value, step), why
	}
	r := ind.RatioMetric
	switch {
	case r == nil: // the indicator is not there, which was said
		return nil, ""
	case r.Raw != nil:
		s, why := b.source(r.Raw, where+".ratioMetric.raw")
		if s.ours != nil {
			b.refuse(where+".ratioMetric.raw", "bad and total with type Ringfence", "requests are counted, and are no share")
			return nil, why
		}
		return rawRatio(s, r.RawType == "failure", step), why
	}
	total, why := b.source(r.Total, where+".ratioMetric.total")
	one, name := r.Bad, ".ratioMetric.bad"
	if r.Good != nil {
		one, name = r.Good, ".ratioMetric.good"
	}
	some, whyOne := b.source(one, where+name)
	if why += whyOne; why != "" || some.query == "" && some.ours == nil || total.query == "" && total.ours == nil {
		return nil, why
	}
	if s, t := some.ours, total.ours; s != nil && t != nil && s.Signal != "requests" && t.Signal == "requests" && s.whole() && t.whole() && s.Service == t.Service && r.Bad != nil {
		b.watched = [2]string{s.Service, s.Signal}
	}
	of, err := ratio(some, some, total, r.Good != nil, r.Counter, step)
	if err != nil {
		b.refuse(where+name, "a query of counters, or counter: false", "%s", err)
	}
	return of, ""
}

// source reads a metric source, or says why it is not read here.
func (b *builder) source(m *metricSpec, at string) (source, string) {
	at += ".metricSource"
	typ := m.MetricSource.Type
	if typ == "" {
		var ok bool
		if typ, ok = b.lib.sources[m.MetricSource.Ref]; !ok {
			b.refuse(at+".metricSourceRef", "the name of a DataSource in the same set or applied before", "there is no DataSource %.80q", m.MetricSource.Ref)
			return source{}, ""
		}
	}
	low := strings.ToLower(typ)
	switch {
	case low == "ringfence":
		return b.ours(m.MetricSource.Spec, at), ""
	case !slices.Contains(promQL, low):
		return source{}, fmt.Sprintf("its metrics are of type %.80s, which is not read here", typ)
	}
	q, ok := queryOf(m.MetricSource.Spec)
	if !ok {
		b.refuse(at+".spec", "query with a PromQL expression", "has none")
	}
	return source{query: strings.TrimSpace(q)}, ""
}

func (b *builder) ours(raw json.RawMessage, at string) source {
	q, ps := readQuery(raw)
	for _, p := range ps {
		p.Path = strings.TrimSuffix("spec."+at+".spec."+p.Path, ".")
		b.list = append(b.list, p)
	}
	if q.Service == "" {
		q.Service = b.service
	}
	if (q.Signal == "slow") != (q.Over > 0) {
		b.refuse(at+".spec.over", "a duration with signal slow, and with no other", "is %s", q.Over)
	}
	return source{ours: &q}
}

// alert gives an objective its conditions, and refuses those that can never hold.
func (b *builder) alert(o *Objective, s sloSpec, alerts string, short bool) {
	policies := b.policies(s)
	switch {
	case alerts == "none":
		return
	case alerts == "" && len(policies) > 0, alerts == "policies":
		o.Conditions = policies
	case alerts == "both":
		o.Conditions = append(b.workbook(o), policies...)
	default:
		o.Conditions = b.workbook(o)
	}
	at, worst := "spec.objectives", o.worst()
	if short {
		at = "target"
	}
	for _, c := range o.Conditions {
		for _, r := range c.Rows {
			if why := r.never(worst); why != "" {
				b.refuse(at, fmt.Sprintf("a target above %s %%, or alertPolicies with thresholds that can be reached", num(100*(1-1/r.Burn))), "a target of %s %%: %s", num(100*o.Target), why)
				return
			}
			if r.Op == "lt" || r.Op == "lte" {
				o.Notes = append(o.Notes, fmt.Sprintf("condition %s holds while the burn rate is low (op: %s)", c.Name, r.Op))
			}
		}
	}
}

// workbook are the workbook's conditions; no window is shorter than a time slice.
func (b *builder) workbook(o *Objective) []Condition {
	all := Scaled(o.Window.Length.Duration())
	for i := range all {
		for j := range all[i].Rows {
			r := &all[i].Rows[j]
			for _, p := range o.Parts {
				r.Long, r.Short = max(r.Long, p.slice), max(r.Short, p.slice)
			}
		}
	}
	return all
}

// policies are the conditions of the SLO's alert policies.
func (b *builder) policies(s sloSpec) []Condition {
	var all []Condition
	for i, item := range s.AlertPolicies {
		at := resource.Item("spec.alertPolicies", i)
		p, name := item.Spec, item.Ref
		if p == nil {
			found, ok := b.lib.policies[item.Ref]
			if !ok {
				b.refuse(at+".alertPolicyRef", "the name of an AlertPolicy in the same set or applied before", "there is no AlertPolicy %.80q", item.Ref)
				continue
			}
			p = &found
		} else {
			name = item.Metadata.Name
		}
		for _, ci := range p.Conditions {
			c := ci.Spec
			if c == nil {
				found, ok := b.lib.conditions[ci.Ref]
				if !ok {
					b.refuse(at, "the name of an AlertCondition in the same set or applied before", "policy %s wants AlertCondition %.80q, which there is none of", name, ci.Ref)
					continue
				}
				c = &found
			}
			all = append(all, conditionOf(name, *p, *c))
		}
	}
	return all
}

func conditionOf(name string, p policySpec, c conditionSpec) Condition {
	back, _ := ParseLength(c.Condition.LookbackWindow)
	after, _ := ParseLength(c.Condition.AlertAfter)
	out := Condition{Name: name, Severity: severityOf(c.Severity), Said: c.Severity, Rows: []Row{{Long: back.Duration(), Burn: c.Condition.Threshold, Op: c.Condition.Op}},
		For: after.Duration(), NoData: p.AlertWhenNoData, Quiet: !p.AlertWhenBreaching}
	if after.N == 0 {
		out.For = 0
	}
	for _, t := range p.NotificationTargets {
		switch {
		case t.Ref != "":
			out.Targets = append(out.Targets, t.Ref)
		case t.Metadata != nil:
			out.Targets = append(out.Targets, t.Metadata.Name)
		}
	}
	return out
}

// severityOf is ours for any word for one.
func severityOf(s string) string {
	switch strings.ToLower(strings.ReplaceAll(s, "-", "")) {
	case "page", "critical", "sev0", "sev1", "p0", "p1", "high", "fatal", "emergency":
		return alert.Paging
	case "info", "low", "notice", "information", "sev4", "sev5", "p4", "p5":
		return alert.Info
	}
	return alert.Ticket
}
