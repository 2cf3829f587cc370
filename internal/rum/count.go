package rum

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringfence/ringfence/internal/gateway"
)

// Bounds of labels, for each service.
const (
	mostPages   = 50
	mostNames   = 50
	mostFlags   = 40 // flags with variants
	keptErrors  = 200
	forgetAfter = 24 * time.Hour
)

// metrics are what pages tell, summed up.
type metrics struct {
	unit    string
	views   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	shift   *prometheus.HistogramVec
	errors  *prometheus.CounterVec
	events  *prometheus.CounterVec
	flagged *prometheus.CounterVec
	waits   *prometheus.HistogramVec
	refused *prometheus.CounterVec
}

func newMetrics(reg *prometheus.Registry, unit string) *metrics {
	base := []string{"service", "version", "ring", "unit"}
	with := func(l ...string) []string { return append(append([]string{}, base...), l...) }
	counter := func(name, help string, labels []string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels []string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, NativeHistogramBucketFactor: 1.1,
			NativeHistogramMaxBucketNumber: 60, NativeHistogramMinResetDuration: time.Hour}, labels)
	}
	m := &metrics{unit: unit,
		views:   counter("ringfence_rum_views_total", "Views of pages that told how they were.", with("page")),
		seconds: histogram("ringfence_rum_vital_seconds", "Web vitals of pages: lcp, fcp, ttfb, inp.", with("page", "vital")),
		shift:   histogram("ringfence_rum_layout_shift", "Cumulative layout shift of pages.", with("page")),
		errors:  counter("ringfence_rum_errors_total", "Errors of scripts.", with("page", "kind")),
		events:  counter("ringfence_rum_events_total", "What users did, by the names that pages give it.", with("event")),
		flagged: counter("ringfence_rum_flag_total", "Views, errors and events of pages that had a variant of a flag.", []string{"service", "unit", "flag", "variant", "what"}),
		waits:   histogram("ringfence_rum_flag_vital_seconds", "Web vitals of pages that had a variant of a flag.", []string{"service", "unit", "flag", "variant", "vital"}),
		refused: counter("ringfence_rum_refused_total", "Reports that were not taken, by reason.", []string{"service", "unit", "reason"}),
	}
	if reg != nil {
		reg.MustRegister(m.views, m.seconds, m.shift, m.errors, m.events, m.flagged, m.waits, m.refused)
	}
	return m
}

func (m *metrics) drop(service string) {
	l := prometheus.Labels{"service": service}
	for _, c := range []*prometheus.CounterVec{m.views, m.errors, m.events, m.flagged, m.refused} {
		c.DeletePartialMatch(l)
	}
	for _, h := range []*prometheus.HistogramVec{m.seconds, m.shift, m.waits} {
		h.DeletePartialMatch(l)
	}
}

// count sums a report up.
func (in *Intake) count(r report, v gateway.Visit) {
	version, ring := v.Version, v.Ring // where the page does not say: those that the user has now
	if r.Version != "" || r.Ring != "" {
		if version, ring = r.Version, r.Ring; !v.Known(version, ring) {
			version, ring = "(gone)", ""
		}
	}
	page := in.named(v.Service, "page", template(v.Settings.Pages, r.Page), mostPages)
	m, base := in.metrics, []string{v.Service, version, ring, in.Unit}
	with := func(more ...string) []string { return append(slices.Clone(base), more...) }
	flags := in.flagsOf(r, v)
	tally := func(what string, n float64) {
		for _, f := range flags {
			m.flagged.WithLabelValues(v.Service, in.Unit, f[0], f[1], what).Add(n)
		}
	}
	now := time.Now().UTC()
	var events []Event
	if r.First == 1 {
		m.views.WithLabelValues(with(page)...).Inc()
		tally("views", 1)
		events = append(events, Event{Time: now, Key: v.Key, Service: v.Service, Version: version})
		for _, name := range vitalNames {
			value, ok := r.Vitals[name]
			switch {
			case !ok:
			case name == "cls":
				m.shift.WithLabelValues(with(page)...).Observe(value)
			default:
				m.seconds.WithLabelValues(with(page, name)...).Observe(value / 1000)
				for _, f := range flags {
					m.waits.WithLabelValues(v.Service, in.Unit, f[0], f[1], name).Observe(value / 1000)
				}
			}
		}
	}
	for _, e := range r.Errors {
		if slices.Contains(errorKinds, e.Kind) {
			m.errors.WithLabelValues(with(page, e.Kind)...).Add(float64(e.Count))
			tally("errors", float64(e.Count))
			in.keep(v.Service, version, ring, page, e, now)
		}
	}
	for _, e := range r.Events {
		if !eventRE.MatchString(e.Name) {
			continue
		}
		name := in.named(v.Service, "event", e.Name, mostNames)
		m.events.WithLabelValues(with(name)...).Inc()
		tally("event "+name, 1)
		value := 1.0
		if e.Value != nil {
			value = *e.Value
		}
		events = append(events, Event{Time: now, Key: v.Key, Service: v.Service, Name: e.Name, Value: value})
	}
	if in.Events != nil && v.Settings.Events && v.Key != "" && version != "(gone)" {
		in.Events(events)
	}
}

// flagsOf are the flags that the service names, with the variants that the page had.
func (in *Intake) flagsOf(r report, v gateway.Visit) (all [][2]string) {
	for _, flag := range v.Settings.Flags {
		if variant := r.Flags[flag]; variant != "" && len(all) < maxFlags {
			variant = without(variant)
			if in.named(v.Service, "flag", flag+"="+variant, mostFlags) == other {
				variant = other
			}
			all = append(all, [2]string{flag, variant})
		}
	}
	return all
}

// Error is an error of a page's script, as often as it was seen.
type Error struct {
	Service string    `json:"service"`
	Version string    `json:"version"`
	Ring    string    `json:"ring,omitempty"`
	Page    string    `json:"page"`
	Kind    string    `json:"kind"`
	Message string    `json:"message"`
	Source  string    `json:"source,omitempty"`
	Count   int64     `json:"count"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

// keep notes an error, and tells of one that is new.
func (in *Intake) keep(name, version, ring, page string, e pageError, now time.Time) {
	key := strings.Join([]string{version, ring, e.Kind, e.Message, e.Source}, "\x00")
	in.mu.Lock()
	s := in.service(name)
	if now.After(s.next) {
		s.next = now.Add(time.Minute)
		maps.DeleteFunc(s.errors, func(_ string, e *Error) bool { return now.Sub(e.Last) > forgetAfter })
	}
	known := s.errors[key]
	if known != nil {
		known.Count += int64(e.Count)
		known.Last, known.Page = now, page
		in.mu.Unlock()
		return
	}
	if len(s.errors) >= keptErrors {
		in.mu.Unlock()
		return // it is counted
	}
	fresh := Error{Service: name, Version: version, Ring: ring, Page: page, Kind: e.Kind, Message: e.Message, Source: e.Source, Count: int64(e.Count), First: now, Last: now}
	s.errors[key] = &fresh
	told := fresh
	in.mu.Unlock()
	if in.Seen != nil {
		in.Seen(name, version, ring, page, told)
	}
}

// Errors are those of a service that were seen lately, the most frequent first.
func (in *Intake) Errors(service string) []Error {
	in.mu.Lock()
	defer in.mu.Unlock()
	all := []Error{}
	if s := in.services[service]; s != nil {
		for _, e := range s.errors {
			all = append(all, *e)
		}
	}
	slices.SortFunc(all, func(a, b Error) int { return cmp.Or(cmp.Compare(b.Count, a.Count), b.Last.Compare(a.Last)) })
	return all
}
