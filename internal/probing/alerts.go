package probing

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/synthetic"
)

// The names of alerts.
const (
	AlertDown   = "ProbeFails"
	AlertStorm  = "ProbesFailEverywhere"
	AlertExpiry = "CertificateExpires"
	AlertSilent = "ProberSilent"
)

// What makes a storm: so many services, and more than half of all that are probed.
const stormServices = 3

// silentAfter is how long nothing is heard of a prober before that is told.
const silentAfter = 2 * time.Minute

// told is an alert that was sent.
type told struct {
	Alert alert.Alert `json:"alert"`
	Sent  time.Time   `json:"sent"`
	Over  bool        `json:"over"` // still to be sent as over
}

// tell sends what begins, what lasts and what is over.
func (b *Board) tell(ctx context.Context) {
	if b.Alerts == nil {
		return
	}
	now := b.now()
	b.mu.Lock()
	wanted := b.wanted(now)
	var send []alert.Alert
	var keys []string
	for key, a := range wanted {
		t := b.alerts[key]
		if t == nil || t.Over {
			t = &told{Alert: a}
			b.alerts[key] = t
		}
		a.StartsAt, a.Labels = t.Alert.StartsAt, t.Alert.Labels // as it began: labels are what it is known by
		news := a.Annotations[alert.Summary] != t.Alert.Annotations[alert.Summary]
		t.Alert = a
		if news || now.Sub(t.Sent) >= tellEvery {
			send, keys = append(send, a), append(keys, key)
		}
	}
	for key, t := range b.alerts {
		if _, still := wanted[key]; !still {
			if !t.Over {
				t.Over, t.Alert.EndsAt = true, now
			}
			send, keys = append(send, t.Alert), append(keys, key)
		}
	}
	b.mu.Unlock()
	if len(send) == 0 {
		return
	}
	if err := b.Alerts.Send(ctx, send); err != nil {
		if ctx.Err() == nil {
			b.Logger.Warn("alerts of probes are not taken; they are sent again", "alerts", len(send), "err", err)
		}
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range keys {
		if t := b.alerts[key]; t.Over {
			delete(b.alerts, key)
		} else {
			t.Sent = now
		}
	}
	b.dirty = true
}

// failing is what is down of one service, or of one probe that is for none.
type failing struct {
	severity string
	parts    []string // probe, and version
	why      []string
	versions map[string]bool
	since    time.Time
	well     bool   // another version is up
	outside  string // the probe that fails, when all that fail look elsewhere than at the service
	inside   bool   // one that fails looks at the service
}

// wanted are the alerts that hold, by a key that stays while they do.
func (b *Board) wanted(now time.Time) map[string]alert.Alert {
	out := map[string]alert.Alert{}
	groups, all, well := map[string]*failing{}, map[string]bool{}, map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(b.probes)) {
		w := b.probes[name]
		if w.Quiet != "" {
			continue
		}
		group := "service " + w.Spec.Service
		if w.Spec.Service == "" {
			group = "probe " + name
		}
		all[group] = true
		b.expiring(name, w, now, out)
		if w.Spec.Alert.Severity == "none" {
			continue
		}
		for _, version := range slices.Sorted(maps.Keys(w.versions)) {
			k := w.versions[version]
			if !k.Looked {
				continue
			}
			well[group] = well[group] || k.State == synthetic.Up
			if k.State == synthetic.Down {
				groups[group] = groups[group].add(name, version, w, k)
			}
		}
	}
	b.silent(now, out)
	storm := len(groups) >= stormServices && 2*len(groups) > len(all)
	if storm {
		out["storm"] = stormOf(groups)
	}
	for group, f := range groups {
		f.well = well[group]
		if old := b.alerts[group]; storm && (old == nil || old.Over) {
			continue // the storm is told
		}
		out[group] = f.alert(group)
	}
	return out
}

func (f *failing) add(probe, version string, w *watched, k *known) *failing {
	if f == nil {
		f = &failing{versions: map[string]bool{}}
	}
	part := probe
	if version != "" {
		part += " of " + version
	}
	f.parts = append(f.parts, part)
	if vote := k.vote; vote.Reason != "" {
		f.why = append(f.why, part+": "+vote.Says())
	}
	f.versions[version] = true
	if w.Spec.Target == resource.AtAddress {
		f.outside = cmp.Or(f.outside, probe)
	} else {
		f.inside = true
	}
	if f.since.IsZero() || k.Since.Before(f.since) {
		f.since = k.Since
	}
	f.severity = worse(f.severity, w.Spec.Alert.Severity)
	return f
}

func worse(a, b string) string {
	order := []string{"", alert.Info, alert.Ticket, alert.Paging}
	if slices.Index(order, a) > slices.Index(order, b) {
		return a
	}
	return b
}

func (f *failing) alert(group string) alert.Alert {
	kind, name, _ := strings.Cut(group, " ")
	labels := map[string]string{alert.Name: AlertDown, alert.Severity: f.severity, kind: name}
	if len(f.versions) == 1 {
		for v := range f.versions {
			if v != "" && f.well {
				labels[alert.Version] = v
			}
		}
	}
	if kind == "service" && f.outside != "" && !f.inside { // what the service needs does not answer
		labels["cause"], labels["dependency"] = "dependency", f.outside
	}
	a := alert.Alert{Labels: labels, StartsAt: f.since, GeneratorURL: "/probes", Annotations: map[string]string{
		alert.Summary:     fmt.Sprintf("%s fails for probes: %s", name, few(f.parts)),
		alert.Description: few(f.why),
	}}
	if kind == "probe" {
		a.Annotations[alert.Summary] = fmt.Sprintf("probe %s fails", name)
	}
	return a
}

func stormOf(groups map[string]*failing) alert.Alert {
	a := alert.Alert{Labels: map[string]string{alert.Name: AlertStorm}, GeneratorURL: "/probes"}
	var names, why []string
	severity := ""
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		f := groups[group]
		_, name, _ := strings.Cut(group, " ")
		names, why, severity = append(names, name), append(why, f.why...), worse(severity, f.severity)
		if a.StartsAt.IsZero() || f.since.Before(a.StartsAt) {
			a.StartsAt = f.since
		}
	}
	a.Labels[alert.Severity] = severity
	a.Annotations = map[string]string{alert.Summary: fmt.Sprintf("%d services fail for probes at once: %s", len(names), few(names)), alert.Description: few(why)}
	return a
}

// few are the first of many.
func few(all []string) string {
	const most = 5
	if len(all) > most {
		return strings.Join(all[:most], "; ") + fmt.Sprintf("; and %d more", len(all)-most)
	}
	return strings.Join(all, "; ")
}

func (b *Board) expiring(name string, w *watched, now time.Time, out map[string]alert.Alert) {
	var at time.Time
	for _, k := range w.versions {
		if e := k.expires(); k.Looked && !e.IsZero() && (at.IsZero() || e.Before(at)) {
			at = e
		}
	}
	left := at.Sub(now)
	if at.IsZero() || left > time.Duration(w.Spec.Alert.Expiry) {
		return
	}
	severity, key := alert.Ticket, "expiry "+name
	if left <= time.Duration(w.Spec.Alert.Urgent) {
		severity, key = w.Spec.Alert.Severity, "expiry urgent "+name
	}
	if severity == "none" {
		return
	}
	labels := map[string]string{alert.Name: AlertExpiry, alert.Severity: severity, "probe": name}
	if w.Spec.Service != "" {
		labels[alert.Service] = w.Spec.Service
	}
	words := fmt.Sprintf("the certificate that probe %s sees expires on %s", name, at.Format(time.RFC3339))
	if left <= 0 {
		words = fmt.Sprintf("the certificate that probe %s sees expired on %s", name, at.Format(time.RFC3339))
	}
	out[key] = alert.Alert{Labels: labels, StartsAt: now, GeneratorURL: "/probes/" + name, Annotations: map[string]string{alert.Summary: words}}
}

// silent tells of probers that are named and not heard.
func (b *Board) silent(now time.Time, out map[string]alert.Alert) {
	named := map[string]time.Duration{}
	for _, w := range b.probes {
		for _, p := range w.Spec.From {
			if len(w.Targets) > 0 {
				named[p] = max(named[p], synthetic.FreshFor(w.Spec), silentAfter)
			}
		}
	}
	for name, after := range named {
		h := b.probers[name]
		if h == nil || now.Sub(h.At) <= after || now.Sub(b.opened) <= after {
			continue // one that never came is not missed: it is being set up
		}
		out["silent "+name] = alert.Alert{Labels: map[string]string{alert.Name: AlertSilent, alert.Severity: alert.Ticket, "prober": name}, StartsAt: h.At, GeneratorURL: "/probes",
			Annotations: map[string]string{alert.Summary: fmt.Sprintf("prober %s was last heard at %s", name, h.At.Format(time.RFC3339))}}
	}
}
