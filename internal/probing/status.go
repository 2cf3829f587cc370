package probing

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/synthetic"
)

// Status is a probe as it is.
type Status struct {
	Name     string          `json:"name"`
	Service  string          `json:"service,omitempty"`
	Way      string          `json:"way" doc:"http, steps, tcp, dns, tls or grpc"`
	Target   string          `json:"target" doc:"versions, gateway or address"`
	State    synthetic.State `json:"state" enum:"up,down,unknown" doc:"down when one of the versions is"`
	Quiet    string          `json:"quiet,omitempty" doc:"why nobody is told now"`
	Expires  time.Time       `json:"expires,omitzero" doc:"when the first certificate expires"`
	Versions []VersionStatus `json:"versions"`
	Spec     resource.Probe  `json:"spec"`
	Pairs    [2]string       `json:"pair" doc:"the newest version, and the one beside it"`
}

// VersionStatus is one version as it is seen.
type VersionStatus struct {
	Version      string           `json:"version,omitempty"`
	State        synthetic.State  `json:"state" enum:"up,down,unknown"`
	Since        time.Time        `json:"since,omitzero"`
	Vote         synthetic.Vote   `json:"vote"`
	Looked       bool             `json:"looked" doc:"it is looked at; one that is not runs no more"`
	Availability float64          `json:"availability" doc:"share of good rounds in the last 24 hours"`
	Rounds       int              `json:"rounds" doc:"of the last 24 hours"`
	Median       float64          `json:"median" doc:"seconds, of the rounds that are kept"`
	Hours        []synthetic.Hour `json:"hours,omitempty" doc:"of all probers together"`
	Probers      []ProberStatus   `json:"probers"`
}

// ProberStatus is what one prober sees.
type ProberStatus struct {
	Name   string            `json:"name"`
	Row    int               `json:"row" doc:"failed rounds in a row"`
	Fresh  bool              `json:"fresh" doc:"its last round counts"`
	Median float64           `json:"median"`
	Last   synthetic.Round   `json:"last"`
	Points []synthetic.Point `json:"points,omitempty"`
}

// Prober is one that has come.
type Prober struct {
	Name    string    `json:"name"`
	Heard   time.Time `json:"heard,omitzero"`
	Rounds  int64     `json:"rounds"`
	Dropped int64     `json:"dropped,omitempty" doc:"rounds that it could not keep while the control plane was away"`
	Probes  int       `json:"probes" doc:"how many name it"`
}

// List returns all probes, without single rounds.
func (b *Board) List() []Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := []Status{}
	for _, name := range slices.Sorted(maps.Keys(b.probes)) {
		all = append(all, b.status(name, false))
	}
	return all
}

// Show returns one probe.
func (b *Board) Show(name string) (Status, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.probes[name] == nil {
		return Status{}, errs.E(errs.Missing, "there is no Probe %q", name)
	}
	return b.status(name, true), nil
}

// Changed returns a channel that is closed when something is seen.
func (b *Board) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

func (b *Board) status(name string, points bool) Status {
	w, now := b.probes[name], b.now()
	s := Status{Name: name, Service: w.Spec.Service, Way: w.Spec.Way(), Target: w.Spec.Target, State: synthetic.Unknown, Quiet: w.Quiet, Spec: w.Spec, Versions: []VersionStatus{}, Pairs: w.Pairs}
	for _, version := range slices.Sorted(maps.Keys(w.versions)) {
		k := w.versions[version]
		v := VersionStatus{Version: version, State: k.State, Since: k.Since, Vote: synthetic.Cast(w.Spec, k.Views, now), Looked: k.Looked}
		var all []float64
		good, sum := 0.0, 0
		hours := map[time.Time]synthetic.Hour{}
		for _, prober := range slices.Sorted(maps.Keys(k.Views)) {
			view := k.Views[prober]
			share, n := view.Availability(now.Add(-24 * time.Hour))
			good, sum = good+share*float64(n), sum+n
			p := ProberStatus{Name: prober, Row: view.Row, Last: view.Last, Fresh: now.Sub(view.Last.At) <= synthetic.FreshFor(w.Spec)}
			took := tookOf(view.Points)
			p.Median = synthetic.Median(took)
			all = append(all, took...)
			if points {
				p.Points = slices.Clone(view.Points)
			}
			for _, h := range view.Hours {
				t := hours[h.Start]
				hours[h.Start] = synthetic.Hour{Start: h.Start, Good: t.Good + h.Good, Bad: t.Bad + h.Bad}
			}
			v.Probers = append(v.Probers, p)
		}
		if v.Rounds = sum; sum > 0 {
			v.Availability = good / float64(sum)
		}
		v.Median = synthetic.Median(all)
		v.Hours = slices.SortedFunc(maps.Values(hours), func(x, y synthetic.Hour) int { return x.Start.Compare(y.Start) })
		if v.Probers == nil {
			v.Probers = []ProberStatus{}
		}
		if k.Looked {
			s.State = worseState(s.State, k.State)
			if at := k.expires(); !at.IsZero() && (s.Expires.IsZero() || at.Before(s.Expires)) {
				s.Expires = at
			}
		}
		s.Versions = append(s.Versions, v)
	}
	slices.SortStableFunc(s.Versions, func(x, y VersionStatus) int {
		return cmp.Or(cmp.Compare(b2i(y.Looked), b2i(x.Looked)), cmp.Compare(x.Version, y.Version))
	})
	return s
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func tookOf(points []synthetic.Point) []float64 {
	var all []float64
	for _, p := range points {
		if p.OK {
			all = append(all, p.Seconds)
		}
	}
	return all
}

func worseState(a, b synthetic.State) synthetic.State {
	if a == synthetic.Down || b == synthetic.Down {
		return synthetic.Down
	}
	if a == synthetic.Up || b == synthetic.Up {
		return synthetic.Up
	}
	return synthetic.Unknown
}

// Probers returns those that probes name, and those that have come.
func (b *Board) Probers() []Prober {
	b.mu.Lock()
	defer b.mu.Unlock()
	by := map[string]Prober{}
	for name, h := range b.probers {
		by[name] = Prober{Name: name, Heard: h.At, Rounds: h.Rounds, Dropped: h.Dropped}
	}
	for _, w := range b.probes {
		for _, name := range w.Spec.From {
			p := by[name]
			p.Name = name
			p.Probes++
			by[name] = p
		}
	}
	return slices.SortedFunc(maps.Values(by), func(x, y Prober) int { return cmp.Compare(x.Name, y.Name) })
}

// Compare puts two versions beside each other: those of the newest rollout when none are named.
func (b *Board) Compare(name, newer, stable string, gate resource.ProbeGate) (synthetic.Comparison, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.probes[name]
	if w == nil {
		return synthetic.Comparison{}, errs.E(errs.Missing, "there is no Probe %q", name)
	}
	if newer == "" && stable == "" {
		newer, stable = w.Pairs[0], w.Pairs[1]
	}
	if newer == "" || stable == "" || newer == stable {
		return synthetic.Comparison{}, errs.E(errs.Invalid, "probe %s: there are no two versions to compare", name).Next("name them: --version NEW --with OLD")
	}
	return synthetic.Compare(w.Spec, gate, w.views(newer), w.views(stable), [2]string{newer, stable}), nil
}

func (w *watched) views(version string) map[string]*synthetic.View {
	if k := w.versions[version]; k != nil {
		return k.Views
	}
	return nil
}

// Judge is what a gate is told: whether the new version is down, and how it compares with stable.
func (b *Board) Judge(gate resource.ProbeGate, service, newer, stable string) health.Reading {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.probes[gate.Name]
	switch {
	case w == nil:
		return health.Reading{Verdict: health.Hold, Text: "there is no Probe " + gate.Name}
	case w.Spec.Service != service:
		return health.Reading{Verdict: health.Hold, Text: "Probe " + gate.Name + " is for another service"}
	case w.Spec.Target != resource.AtVersions:
		return health.Reading{Verdict: health.Hold, Text: "Probe " + gate.Name + " does not look at versions"}
	}
	views := w.views(newer)
	vote := synthetic.Cast(w.Spec, views, b.now())
	if vote.State == synthetic.Down {
		return health.Reading{Verdict: health.Fail, Text: newer + " is down: " + vote.Says()}
	}
	c := synthetic.Compare(w.Spec, gate, views, w.views(stable), [2]string{newer, stable})
	text := ""
	for i, r := range c.Reasons {
		if i > 0 {
			text += " "
		}
		text += r
	}
	if c.Verdict == health.Pass && vote.State != synthetic.Up {
		return health.Reading{Verdict: health.Hold, Text: vote.Says()}
	}
	return health.Reading{Verdict: c.Verdict, Text: text}
}

// kept is the file.
type kept struct {
	Probes  map[string]map[string]*known `json:"probes"`
	Probers map[string]*heard            `json:"probers"`
	Alerts  map[string]*told             `json:"alerts"`
}

func (b *Board) load() error {
	raw, err := b.Disk.Load()
	if err != nil || raw == nil {
		return err
	}
	var k kept
	if err := json.Unmarshal(raw, &k); err != nil {
		b.Logger.Warn("what probes saw before is damaged and left behind", "err", err)
		return nil
	}
	for name, versions := range k.Probes {
		w := &watched{Declared: Declared{Name: name, Unseen: true}, versions: map[string]*known{}}
		w.Spec = w.Spec.Defaults() // until what is declared is read
		for version, v := range versions {
			if v != nil && v.Views != nil {
				w.versions[version] = v
			}
		}
		b.probes[name] = w
	}
	if k.Probers != nil {
		b.probers = k.Probers
	}
	if k.Alerts != nil {
		b.alerts = k.Alerts
	}
	return nil
}

func (b *Board) save() {
	if b.Disk == nil {
		return
	}
	b.mu.Lock()
	if !b.dirty {
		b.mu.Unlock()
		return
	}
	k := kept{Probes: map[string]map[string]*known{}, Probers: b.probers, Alerts: b.alerts}
	for name, w := range b.probes {
		k.Probes[name] = w.versions
	}
	raw, err := json.Marshal(k)
	b.dirty = false
	b.mu.Unlock()
	if err == nil {
		err = b.Disk.Save(raw)
	}
	if err != nil {
		b.Logger.Warn("what probes saw is not kept", "err", err)
	}
}
