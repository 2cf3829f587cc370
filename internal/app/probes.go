package app

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/probe"
	"github.com/ringfence/ringfence/internal/probing"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/synthetic"
)

// seenFor is how old a unit's report may be for its instances to be looked at.
const seenFor = 15 * time.Second

// probes are the control plane's part of probing: what there is to look at, a prober of its own, and the board.
type probes struct {
	*probing.Board
	server *server
	runner *probe.Runner
}

func (s *server) openProbes() error {
	s.probes = &probes{server: s, runner: &probe.Runner{Secrets: filepath.Join(s.Data, secretsFolder)}}
	s.probes.Board = &probing.Board{Catalog: s.probes, Metrics: s.metrics, Alerts: s.pager, Record: recording{s.store}, Disk: disk(filepath.Join(s.Data, "probes.json")), Logger: s.Logger}
	return s.probes.Open()
}

// run looks, and keeps what all probers saw, until ctx ends.
func (p *probes) run(ctx context.Context) error {
	own := &probing.Loop{Name: resource.ControlProber, Runner: p.runner, Work: works{p, resource.ControlProber}, Logger: p.server.Logger,
		Take: func(ctx context.Context, rounds []synthetic.Round) {
			rounds = slices.DeleteFunc(rounds, func(r synthetic.Round) bool { return !r.OK && p.left(ctx, r) })
			_, _ = p.Take(ctx, resource.ControlProber, rounds, 0) // its own name is never refused
		}}
	p.Refresh(ctx)
	ended := make(chan error, 1)
	go func() { ended <- own.Run(ctx) }()
	err := p.Board.Run(ctx)
	<-ended
	return err
}

// left reports whether a version has left while it was looked at: that is no failure of its.
func (p *probes) left(ctx context.Context, r synthetic.Round) bool {
	if r.Version == "" {
		return false
	}
	declared, err := p.server.catalog.Get(ctx, resource.KindService, r.Service)
	if err != nil {
		return false
	}
	service, err := resource.As[resource.Service](declared)
	if err != nil {
		return false
	}
	targets, unseen := p.instances(r.Service, service.Defaults().Units)
	return !unseen && !slices.ContainsFunc(targets, func(t synthetic.Target) bool { return t.Version == r.Version })
}

// works is what one prober has to look at.
type works struct {
	*probes
	prober string
}

func (w works) Jobs(ctx context.Context) ([]synthetic.Job, error) {
	return w.probes.Jobs(ctx, w.prober)
}

// Jobs are the probes that name a prober. What cannot be seen now is not looked at.
func (p *probes) Jobs(ctx context.Context, prober string) ([]synthetic.Job, error) {
	all, err := p.Probes(ctx)
	if err != nil {
		return nil, err
	}
	var jobs []synthetic.Job
	for _, d := range all {
		if slices.Contains(d.Spec.From, prober) && len(d.Targets) > 0 {
			jobs = append(jobs, synthetic.Job{Probe: d.Name, Spec: d.Spec, Targets: d.Targets})
		}
	}
	return jobs, nil
}

// RunNow looks once, whoever else looks.
func (p *probes) RunNow(ctx context.Context, name string) ([]synthetic.Round, error) {
	r, err := p.server.catalog.Get(ctx, resource.KindProbe, name)
	if err != nil {
		return nil, err
	}
	d, err := p.declared(ctx, r)
	switch {
	case err != nil:
		return nil, err
	case len(d.Targets) == 0:
		return nil, errs.E(errs.Unavailable, "there is nothing to look at: no instance of %s is ready", d.Spec.Service)
	}
	rounds := p.runner.Run(ctx, synthetic.Job{Probe: d.Name, Spec: d.Spec, Targets: d.Targets})
	for i := range rounds {
		rounds[i].Prober = resource.ControlProber
	}
	return rounds, nil
}

// Probes are all probes with what they have to look at now.
func (p *probes) Probes(ctx context.Context) ([]probing.Declared, error) {
	var all []probing.Declared
	for after := ""; ; {
		some, err := p.server.catalog.List(ctx, resource.KindProbe, after, 0)
		if err != nil {
			return nil, err
		}
		for _, r := range some {
			d, err := p.declared(ctx, r)
			if err != nil {
				return nil, err
			}
			all, after = append(all, d), r.Metadata.Name
		}
		if len(some) == 0 {
			return all, nil
		}
	}
}

func (p *probes) declared(ctx context.Context, r resource.Resource) (probing.Declared, error) {
	spec, err := resource.As[resource.Probe](r)
	if err != nil {
		return probing.Declared{}, err
	}
	d := probing.Declared{Name: r.Metadata.Name, Spec: spec.Defaults()}
	var service resource.Service
	if spec.Service != "" {
		declared, err := p.server.catalog.Get(ctx, resource.KindService, spec.Service)
		if err != nil {
			return d, err
		}
		if service, err = resource.As[resource.Service](declared); err != nil {
			return d, err
		}
		service = service.Defaults()
		if st, err := p.server.controller.Find(ctx, spec.Service); err == nil {
			d.Pairs = [2]string{st.To, st.From}
		}
	}
	switch d.Spec.Target {
	case resource.AtVersions:
		d.Targets, d.Unseen = p.instances(spec.Service, service.Units)
	case resource.AtGateway:
		d.Targets, d.Unseen = p.gateways(service)
	default:
		d.Targets = []synthetic.Target{{Address: spec.Address}}
	}
	d.Quiet, err = p.quiet(ctx, d.Spec)
	return d, err
}

// instances are those of all versions that run; unseen, when a unit does not report.
func (p *probes) instances(service string, units []string) (all []synthetic.Target, unseen bool) {
	for _, unit := range units {
		status, at := p.server.hub.Observe(unit, service)
		if time.Since(at) > seenFor {
			unseen = true
			continue
		}
		for _, slot := range status.Slots {
			some := false
			for _, in := range slot.Instances {
				if in.Ready {
					all, some = append(all, synthetic.Target{Version: slot.Version, Address: in.Address, Instance: in.ID}), true
				}
			}
			if !some && slot.Wanted > 0 && len(status.Slots) == 1 {
				all = append(all, synthetic.Target{Version: slot.Version, Broken: "no instance is ready"})
			}
		}
	}
	return all, unseen
}

// gateways are those of the units that a service runs in, where it is asked for by its host.
func (p *probes) gateways(service resource.Service) (all []synthetic.Target, unseen bool) {
	host := strings.Replace(service.Route.Host, "*", "probe", 1)
	path := strings.TrimSuffix(service.Route.Path, "/")
	for _, o := range p.server.hub.Units() {
		if !slices.Contains(service.Units, o.Unit) {
			continue
		}
		if o.Gateway == "" || time.Since(o.Time) > seenFor {
			unseen = true
			continue
		}
		u, err := url.Parse(o.Gateway)
		if err != nil {
			continue
		}
		t := synthetic.Target{Address: o.Gateway + path, Host: host}
		if host != "" && u.Port() != "" {
			t.Host = net.JoinHostPort(host, u.Port())
		}
		if len(service.Units) > 1 {
			t.Instance = "unit " + o.Unit
		}
		all = append(all, t)
	}
	return all, unseen || len(all) == 0
}

// quiet is why nobody is told now.
func (p *probes) quiet(ctx context.Context, spec resource.Probe) (string, error) {
	if spec.Quiet == nil {
		return "", nil
	}
	now := time.Now()
	for _, w := range spec.Quiet.When {
		if until, ok := (windows{}).Active(w, now); ok {
			return "maintenance until " + until.UTC().Format(time.RFC3339), nil
		}
	}
	if !spec.Quiet.Freezes {
		return "", nil
	}
	service, err := p.server.catalog.Resolve(ctx, spec.Service)
	if err != nil {
		return "", err
	}
	for _, f := range service.Freezes {
		if until, ok := (windows{}).Active(f.When, now); ok {
			return fmt.Sprintf("freeze %s until %s: %s", f.Name, until.UTC().Format(time.RFC3339), f.Reason), nil
		}
	}
	return "", nil
}

// judged is what a gate that names a probe is answered.
func (p *probes) judged(gate resource.ProbeGate, vars map[string]string) health.Reading {
	return p.Judge(gate, vars["service"], vars["version"], vars["stable"])
}

// recording keeps events that change no document.
type recording struct{ *notifying }

func (r recording) Record(ctx context.Context, events []audit.Event) error {
	_, err := r.Commit(ctx, store.Write{Events: events})
	return err
}

// reachable is an address at which this machine can be reached, of one that may stand for all.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
