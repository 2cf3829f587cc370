package slo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/resource"
)

// ResourceKind is the kind of resource that an OpenSLO document of a kind is, "" for an unknown one. A Service of OpenSLO is not one
// of ours: it groups SLOs, and runs nothing.
func ResourceKind(kind string) string {
	switch kind {
	case KindService:
		return resource.KindSLOService
	case KindSLI, KindSLO, KindSource, KindPolicy, KindCondition, KindTarget:
		return kind
	}
	return ""
}

// Kinds are the kinds of resources that are OpenSLO documents.
var Kinds = []string{resource.KindDataSource, resource.KindAlertTarget, resource.KindAlertCondition, resource.KindAlertPolicy, resource.KindSLI,
	resource.KindSLOService, resource.KindSLO}

// checker collects what is wrong with a document.
type checker struct{ list []resource.Problem }

func (c *checker) add(path, expected, format string, args ...any) {
	c.list = append(c.list, resource.Problem{Path: path, Expected: expected, Msg: fmt.Sprintf(format, args...)})
}

func (c *checker) need(ok bool, path, expected, format string, args ...any) {
	if !ok {
		c.add(path, expected, format, args...)
	}
}

// one wants exactly one of some fields to be there.
func (c *checker) one(path, names string, there ...bool) bool {
	n := 0
	for _, t := range there {
		if t {
			n++
		}
	}
	c.need(n == 1, path, "exactly one of "+names, "has %d of them", n)
	return n == 1
}

// Of judges a resource that is an OpenSLO document, or an SLO in the short form, on its own. Fields without value, which OpenSLO's own examples
// have, count as left out: Canonical takes them away.
func Of(r resource.Resource) []resource.Problem {
	c := &checker{}
	switch {
	case r.Kind == resource.KindSLO && isShort(r.Spec):
		_, ps := readShort(r.Spec)
		c.list = ps
		if len(ps) == 0 {
			c.short(r)
		}
	default:
		c.document(r)
	}
	for i, p := range c.list {
		path := "spec"
		if p.Path != "" {
			path += "." + p.Path
		}
		c.list[i].Path, c.list[i].Kind, c.list[i].Name = path, r.Kind, r.Metadata.Name
	}
	return c.list
}

func isShort(raw json.RawMessage) bool {
	var head struct {
		APIVersion string `json:"apiVersion"`
	}
	return json.Unmarshal(raw, &head) == nil && head.APIVersion == ""
}

// IsDocument says whether the spec of a resource is an OpenSLO document, and no short form.
func IsDocument(spec json.RawMessage) bool { return !isShort(spec) }

func (c *checker) document(r resource.Resource) {
	switch r.Kind {
	case resource.KindSLOService:
		read(c, r, readService, func(serviceSpec) {})
	case resource.KindDataSource:
		read(c, r, readSource, func(sourceSpec) {})
	case resource.KindSLI:
		read(c, r, readSLI, func(s indicatorSpec) { c.indicator(s, "spec") })
	case resource.KindSLO:
		read(c, r, readSLO, c.slo)
	case resource.KindAlertPolicy:
		read(c, r, readPolicy, func(s policySpec) { c.policy(s, "spec") })
	case resource.KindAlertCondition:
		read(c, r, readCondition, func(s conditionSpec) { c.condition(s, "spec") })
	case resource.KindAlertTarget:
		read(c, r, readTarget, func(targetSpec) {})
	default:
		c.add("kind", "a kind of OpenSLO v1", "%q is none", r.Kind)
	}
}

func read[S any](c *checker, r resource.Resource, reader func([]byte) (document[S], []resource.Problem), judge func(S)) {
	d, ps := reader(r.Spec)
	c.list = append(c.list, ps...)
	if len(ps) > 0 {
		return
	}
	c.need(ResourceKind(d.Kind) == r.Kind, "kind", r.Kind, "got %s", d.Kind)
	c.need(d.Metadata.Name == r.Metadata.Name, "metadata.name", r.Metadata.Name, "got %q", d.Metadata.Name)
	c.meta(d.Metadata, "metadata")
	judge(d.Spec)
}

var (
	nameRE = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	keyRE  = regexp.MustCompile(`^([A-Za-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
)

const nameWords = "letters, digits and . _ -, at most 63, beginning and ending with a letter or digit"

func (c *checker) meta(m meta, at string) {
	c.need(nameRE.MatchString(m.Name), at+".name", nameWords, "%.80q is no name", m.Name)
	for _, k := range slices.Sorted(keysOf(m.Labels)) {
		var one string
		var many []string
		path := resource.Field(at+".labels", k)
		c.need(keyRE.MatchString(k), path, nameWords, "%.80q is no label", k)
		c.need(json.Unmarshal(m.Labels[k], &one) == nil || json.Unmarshal(m.Labels[k], &many) == nil, path, "text, or a list of text", "got something else")
	}
	for _, k := range slices.Sorted(keysOf(m.Annotations)) {
		c.need(keyRE.MatchString(k), resource.Field(at+".annotations", k), nameWords, "%.80q is no annotation", k)
	}
}

func keysOf[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (c *checker) indicator(s indicatorSpec, at string) {
	if !c.one(at, "thresholdMetric and ratioMetric", s.ThresholdMetric != nil, s.RatioMetric != nil) {
		return
	}
	if s.ThresholdMetric != nil {
		c.metric(s.ThresholdMetric, at+".thresholdMetric")
		return
	}
	at += ".ratioMetric"
	r := s.RatioMetric
	for _, m := range []struct {
		spec *metricSpec
		name string
	}{{r.Good, "good"}, {r.Bad, "bad"}, {r.Total, "total"}, {r.Raw, "raw"}} {
		if m.spec != nil {
			c.metric(m.spec, at+"."+m.name)
		}
	}
	if !c.one(at, "total and raw", r.Total != nil, r.Raw != nil) {
		return
	}
	if r.Raw != nil {
		c.need(r.RawType != "", at+".rawType", "success or failure", "missing")
		c.need(r.Good == nil && r.Bad == nil, at, "raw, or good or bad with total", "has both")
		return
	}
	c.one(at, "good and bad", r.Good != nil, r.Bad != nil)
}

func (c *checker) metric(m *metricSpec, at string) {
	s, at := m.MetricSource, at+".metricSource"
	c.need(s.Type != "" || s.Ref != "", at+".type", "a type such as Prometheus, or a metricSourceRef", "missing")
	c.need(bytes.HasPrefix(s.Spec, []byte("{")) && len(s.Spec) > 2, at+".spec", "fields", "has none")
	c.need(s.Ref == "" || nameRE.MatchString(s.Ref), at+".metricSourceRef", nameWords, "%.80q is no name", s.Ref)
}

func (c *checker) slo(s sloSpec) {
	c.need(s.Service != "", "spec.service", "the name of a service", "is empty")
	parts := 0
	for _, o := range s.Objectives {
		if o.Indicator != nil || o.IndicatorRef != "" {
			parts++
		}
	}
	if parts == 0 {
		c.one("spec", "indicator and indicatorRef", s.Indicator != nil, s.IndicatorRef != "")
	} else {
		c.need(s.Indicator == nil && s.IndicatorRef == "", "spec", "an indicator of its own, or one for each objective of a composite", "has both")
		c.need(parts == len(s.Objectives), "spec.objectives", "an indicator for each, as some have one", "%d of %d have one", parts, len(s.Objectives))
	}
	if s.Indicator != nil {
		c.meta(s.Indicator.Metadata, "spec.indicator.metadata")
		c.indicator(s.Indicator.Spec, "spec.indicator.spec")
	}
	for i, w := range s.TimeWindow {
		c.window(w, resource.Item("spec.timeWindow", i))
	}
	for i, o := range s.Objectives {
		c.objective(o, s, parts > 0, resource.Item("spec.objectives", i))
	}
	for i, p := range s.AlertPolicies {
		at := resource.Item("spec.alertPolicies", i)
		if c.one(at, "alertPolicyRef and spec", p.Ref != "", p.Spec != nil) && p.Spec != nil {
			c.inline(p.Kind, KindPolicy, p.Metadata, at)
			c.policy(*p.Spec, at+".spec")
		}
	}
}

func (c *checker) inline(kind, want string, m *meta, at string) {
	c.need(kind == want, at+".kind", want, "got %q", kind)
	if m == nil {
		c.add(at+".metadata", "its name", "missing")
		return
	}
	c.meta(*m, at+".metadata")
}

// shortest is the shortest window of an objective: with less, the pairs of windows would be shorter than scrapes are apart.
const shortest = time.Hour

func (c *checker) window(w timeWindow, at string) {
	l, ok := ParseLength(w.Duration)
	c.need(ok, at+".duration", lengthWords, "got %.40q", w.Duration)
	if ok {
		hint := ""
		if l.Unit == 'm' && l.N <= 12 {
			hint = fmt.Sprintf("; m is minutes, M is months: %dM", l.N)
		}
		c.need(l.Duration() >= shortest, at+".duration", "at least 1h"+hint, "%s is too short", w.Duration)
		c.need(l.Duration() <= 2*365*24*time.Hour, at+".duration", "at most 2Y", "%s is too long", w.Duration)
	}
	switch {
	case w.IsRolling && w.Calendar != nil:
		c.add(at+".calendar", "none when isRolling is true", "stands next to isRolling")
	case !w.IsRolling && w.Calendar == nil:
		c.add(at+".calendar", "where the window begins, or isRolling: true", "missing")
	case w.Calendar != nil:
		if _, err := w.Calendar.start(); err != nil {
			c.add(at+".calendar", "startTime such as 2020-01-21 12:30:00 and an IANA timeZone such as America/New_York", "%s", err)
		}
	}
}

func (c calendar) start() (time.Time, error) {
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil || c.TimeZone == "" || c.TimeZone == "Local" {
		return time.Time{}, fmt.Errorf("unknown time zone %.60q", c.TimeZone)
	}
	for _, form := range []string{time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(form, c.StartTime, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("startTime %.40q cannot be read", c.StartTime)
}

func (c *checker) objective(o objectiveSpec, s sloSpec, composite bool, at string) {
	if c.one(at, "target and targetPercent", o.Target != nil, o.TargetPercent != nil) {
		t, name, least := o.target(), ".target", "at least 0 and less than 1"
		if o.TargetPercent != nil {
			name, least = ".targetPercent", "at least 0 and less than 100"
		}
		c.need(t >= 0 && t < 1, at+name, least, "leaves no budget, or is none")
	}
	sliced := s.BudgetingMethod != Occurrences
	slice, ok := o.slice()
	c.need(ok || len(o.TimeSliceWindow) == 0, at+".timeSliceWindow", "such as 1m, or a number of minutes", "got %.40s", o.TimeSliceWindow)
	c.need(!sliced || len(o.TimeSliceWindow) > 0, at+".timeSliceWindow", "such as 1m, with "+s.BudgetingMethod, "missing")
	c.need(slice <= 24*time.Hour, at+".timeSliceWindow", "at most 1d", "is too long")
	if s.BudgetingMethod == Timeslices {
		if o.TimeSliceTarget == nil {
			c.add(at+".timeSliceTarget", "above 0 to 1, with Timeslices", "missing")
		} else {
			c.need(*o.TimeSliceTarget > 0 && *o.TimeSliceTarget <= 1, at+".timeSliceTarget", "above 0 to 1", "is %g", *o.TimeSliceTarget)
		}
	}
	if o.CompositeWeight != nil {
		c.need(composite, at+".compositeWeight", "objectives with indicators of their own", "is of a composite SLO, which this is not")
		c.need(*o.CompositeWeight > 0, at+".compositeWeight", "above 0", "is %g", *o.CompositeWeight)
	}
	if composite {
		if c.one(at, "indicator and indicatorRef", o.Indicator != nil, o.IndicatorRef != "") && o.Indicator != nil {
			c.meta(o.Indicator.Metadata, at+".indicator.metadata")
			c.indicator(o.Indicator.Spec, at+".indicator.spec")
		}
	}
}

// target is the share of good events.
func (o objectiveSpec) target() float64 {
	switch {
	case o.Target != nil:
		return *o.Target
	case o.TargetPercent != nil:
		return rounded(*o.TargetPercent / 100)
	}
	return 0
}

func (o objectiveSpec) slice() (time.Duration, bool) {
	var minutes float64
	var text string
	switch {
	case json.Unmarshal(o.TimeSliceWindow, &minutes) == nil:
		d := time.Duration(minutes * float64(time.Minute))
		return d, d >= time.Minute && d%time.Minute == 0
	case json.Unmarshal(o.TimeSliceWindow, &text) == nil:
		l, ok := ParseLength(text)
		return l.Duration(), ok
	}
	return 0, false
}

func (c *checker) policy(s policySpec, at string) {
	for i, item := range s.Conditions {
		where := resource.Item(at+".conditions", i)
		if c.one(where, "conditionRef and spec", item.Ref != "", item.Spec != nil) && item.Spec != nil {
			c.inline(item.Kind, KindCondition, item.Metadata, where)
			c.condition(*item.Spec, where+".spec")
		}
	}
	for i, item := range s.NotificationTargets {
		where := resource.Item(at+".notificationTargets", i)
		if c.one(where, "targetRef and spec", item.Ref != "", item.Spec != nil) && item.Spec != nil {
			c.inline(item.Kind, KindTarget, item.Metadata, where)
		}
	}
}

func (c *checker) condition(s conditionSpec, at string) {
	c.need(s.Severity != "", at+".severity", "such as page", "is empty")
	at += ".condition"
	back, ok := ParseLength(s.Condition.LookbackWindow)
	c.need(ok && back.Duration() <= 90*24*time.Hour, at+".lookbackWindow", lengthWords+", at most 90d", "got %.40q", s.Condition.LookbackWindow)
	if after := s.Condition.AlertAfter; after != "" && after != "0m" {
		l, ok := ParseLength(after)
		c.need(ok && l.Duration() <= 7*24*time.Hour, at+".alertAfter", lengthWords+", at most 7d", "got %.40q", after)
	}
	c.need(s.Condition.Threshold >= 0, at+".threshold", "0 or more", "is %g", s.Condition.Threshold)
}
