package ui

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/switchboard"
)

// flagsOnPage bounds how many flags one page lists.
const flagsOnPage = 200

// flagRoutes are the pages of flags. They are authorised as the API is.
func (s *Server) flagRoutes() {
	if s.Board == nil {
		return
	}
	s.mux.HandleFunc("GET /flags", s.signed(policy.Read, s.flags))
	s.mux.HandleFunc("GET /flags/new", s.signed(policy.Change, s.newFlag))
	s.mux.HandleFunc("GET /flags/{set}/{key}", s.signed(policy.Read, s.flag))
	s.mux.HandleFunc("GET /flags/{set}/{key}/edit", s.signed(policy.Read, s.flagEditor))
	s.mux.HandleFunc("POST /flags/{set}/{key}/edit", s.signed(policy.Change, s.editFlag))
	s.mux.HandleFunc("GET /flag-sets/new", s.signed(policy.Change, s.newSet))
	s.mux.HandleFunc("GET /flag-sets/{set}", s.signed(policy.Read, s.setEditor))
	s.mux.HandleFunc("POST /flag-sets/{set}", s.signed(policy.Change, s.editSet))
	s.mux.HandleFunc("GET /change-requests", s.signed(policy.Read, s.requests))
	s.deed("/flags/{set}/{key}/expose", s.expose())
	s.deed("/flags/{set}/{key}/off", s.switchOff())
	s.deed("/flags/{set}/{key}/disable", s.setState(false))
	s.deed("/flags/{set}/{key}/enable", s.setState(true))
	s.deed("/flags/{set}/{key}/archive", s.setArchived(true))
	s.deed("/flags/{set}/{key}/restore", s.setArchived(false))
	s.deed("/flags/{set}/{key}/undo", s.undoFlag())
	s.deed("/change-requests/{request}/approve", s.review(false))
	s.deed("/change-requests/{request}/refuse", s.review(true))
}

// chip is a variant as pages show it: its name with its colour.
type chip struct{ Paint, Name string }

// paints gives variants their colours: none to the one that is served by default, so that what differs from it is seen.
func paints(variants []string, byDefault string) map[string]string {
	out, n := map[string]string{}, 0
	for _, name := range slices.Sorted(slices.Values(variants)) {
		if name == byDefault {
			out[name] = "vz"
			continue
		}
		out[name] = "v" + string(rune('a'+n%5))
		n++
	}
	return out
}

func paintsOf(v switchboard.View) map[string]string {
	names := make([]string, len(v.Variants))
	for i, x := range v.Variants {
		names[i] = x.Name
	}
	return paints(names, v.Default)
}

// paintOf is the colour of what a rollout brings.
func (s *Server) paintOf(ctx context.Context, service, variant string) string {
	subject, err := flag.ParseSubject(service)
	if err != nil {
		return ""
	}
	r, err := s.Catalog.Get(ctx, resource.KindFlagSet, subject.Set)
	if err != nil {
		return ""
	}
	var f struct {
		Variants       map[string]json.RawMessage
		DefaultVariant string
		Environments   map[string]struct{ DefaultVariant *string }
	}
	raw, _ := json.Marshal(flagTree(r, subject.Key))
	if json.Unmarshal(raw, &f) != nil {
		return ""
	}
	if own := f.Environments[subject.Environment].DefaultVariant; own != nil {
		f.DefaultVariant = *own
	}
	var names []string
	for name := range f.Variants {
		names = append(names, name)
	}
	return paints(names, f.DefaultVariant)[variant]
}

// givesOf is what those get of a flag for whom nothing else is said.
func givesOf(v switchboard.View) (chip, string) {
	all := paintsOf(v)
	named := func(name string) chip {
		if name == "" || name == codeDefault {
			return chip{"none", "code default"}
		}
		return chip{all[name], name}
	}
	switch {
	case v.State != "enabled":
		return named(""), ""
	case v.Everyone != "":
		return named(v.Everyone), "by its rollout"
	case v.Targeted:
		return named(v.Default), "unless its rule says otherwise"
	case len(v.Schedule) > 0:
		return named(v.Default), "unless its schedule says otherwise"
	}
	return named(v.Default), ""
}

// flagRow is a flag in the list.
type flagRow struct {
	switchboard.View
	Link     string
	Gives    chip
	How      string
	Art      *art
	Ramp     string
	Users    int64 // who got it
	RampTone string
	RampLink string
	To       chip
}

type flagsPage struct {
	*visit
	Env, Text, Set, Kind string
	Stale                bool
	Envs                 []envLink
	Sets                 []string
	Rows                 []flagRow
	All, More, Moving    int
	Asked                bool // something is known of when flags are asked for
	Filtered             bool
	Waiting              int // change requests
}

// envLink leads to the same in another environment.
type envLink struct {
	Name, Link string
	Here       bool
}

func environmentOf(r *http.Request) string {
	if env := clip(r.URL.Query().Get("environment"), 200); env != "" {
		return env
	}
	return flag.Production
}

func (s *Server) flags(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx, q := r.Context(), r.URL.Query()
	v.Title, v.Live = "Flags", "flags"
	p := &flagsPage{visit: v, Env: environmentOf(r), Text: clip(strings.TrimSpace(q.Get("q")), 200), Set: clip(q.Get("set"), 100), Kind: clip(q.Get("kind"), 40), Stale: q.Get("stale") != ""}
	p.Filtered, p.Waiting = p.Text != "" || p.Set != "" || p.Kind != "" || p.Stale, v.Changes
	heads, err := s.setHeads(ctx)
	if err != nil {
		return err
	}
	for _, h := range heads {
		p.Sets = append(p.Sets, h.name)
	}
	p.Envs = envLinks(heads, p.Env, func(env string) string {
		to := url.Values{}
		for _, k := range []string{"q", "set", "kind", "stale"} {
			if q.Get(k) != "" {
				to.Set(k, q.Get(k))
			}
		}
		if env != flag.Production {
			to.Set("environment", env)
		}
		return strings.TrimSuffix("/flags?"+to.Encode(), "?")
	})
	all, err := s.Board.Flags(ctx, "", p.Env, v.Now)
	if err != nil {
		return err
	}
	p.All = len(all)
	plans := map[string][]string{}
	for _, one := range all {
		p.Asked = p.Asked || !one.Asked.IsZero()
		if flying(one.Rollout) {
			p.Moving++
		}
		switch {
		case !p.wants(one):
		case len(p.Rows) >= flagsOnPage:
			p.More++
		default:
			row, err := s.flagRow(ctx, one, plans, v)
			if err != nil {
				return err
			}
			p.Rows = append(p.Rows, row)
		}
	}
	return s.show(w, r, http.StatusOK, "flags", p)
}

func flying(r *switchboard.Ramp) bool { return r != nil && !r.Phase.Ended() }

// wants says whether a flag passes the filter.
func (p *flagsPage) wants(v switchboard.View) bool {
	if p.Set != "" && v.Set != p.Set || p.Kind != "" && string(v.Kind) != p.Kind || p.Stale && len(v.Stale) == 0 {
		return false
	}
	text := strings.ToLower(v.Set + "/" + v.Key + " " + v.Description + " " + v.Owner)
	for word := range strings.FieldsSeq(strings.ToLower(p.Text)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

func (s *Server) flagRow(ctx context.Context, one switchboard.View, plans map[string][]string, v *visit) (flagRow, error) {
	row := flagRow{View: one, Link: flagURL(flag.Subject{Set: one.Set, Key: one.Key, Environment: one.Environment}, "")}
	row.Gives, row.How = givesOf(one)
	if one.Rollout != nil {
		state := rampState(one)
		row.Users = one.Rollout.Users
		if flying(one.Rollout) {
			full, err := s.Rollouts.Find(ctx, one.Rollout.ID)
			if err != nil {
				return row, err
			}
			state, row.Users = full, s.exposedTo(ctx, full)
		}
		tone := toneOf(state, "hold")
		a := draw("flag-"+one.Rollout.ID, ringsOf(state, "hold", v.Now), tone, "", "", false)
		row.To, row.RampTone, row.RampLink = chip{paintsOf(one)[one.Rollout.To], one.Rollout.To}, tone, "/rollouts/"+one.Rollout.ID
		a.Paint, a.Title = row.To.Paint, describe(state, ringsOf(state, "hold", v.Now))
		row.Art, row.Ramp = &a, rampWords(one.Rollout)
		return row, nil
	}
	if one.Exposure != nil {
		rings, err := s.ringNames(ctx, one.Exposure.Plan, plans)
		if err != nil {
			return row, err
		}
		a := draw("flag-"+one.Subject, rings, "calm", "", "No ring of plan "+one.Exposure.Plan+" has it yet.", false)
		row.Art = &a
	}
	return row, nil
}

// rampState is as much of a rollout that has ended as its picture needs.
func rampState(v switchboard.View) rollout.State {
	r := v.Rollout
	s := rollout.State{ID: r.ID, Service: v.Subject, From: r.From, To: r.To, Phase: r.Phase, Ring: r.At, Paused: r.Paused, Halted: r.Halted}
	for _, name := range r.Rings {
		s.Rings = append(s.Rings, rollout.Ring{Name: name})
	}
	return s
}

// rampWords says how far a rollout is.
func rampWords(r *switchboard.Ramp) string {
	switch {
	case r.Phase == rollout.Succeeded:
		return "out to everyone"
	case r.Phase == rollout.RolledBack:
		return "taken back"
	case r.Phase == rollout.Superseded:
		return "given up for another"
	case r.Phase == rollout.RollingBack:
		return "being taken back"
	case r.Ring == "":
		return "starting"
	case r.Halted:
		return "halted in ring " + r.Ring
	case r.Paused:
		return "paused in ring " + r.Ring
	}
	return "in ring " + r.Ring
}

// ringNames are the empty rings of a plan.
func (s *Server) ringNames(ctx context.Context, plan string, known map[string][]string) ([]ringView, error) {
	names, ok := known[plan]
	if !ok {
		r, err := s.Catalog.Get(ctx, resource.KindRingPlan, plan)
		if err != nil {
			return nil, err
		}
		spec, err := resource.As[resource.RingPlan](r)
		if err != nil {
			return nil, err
		}
		for _, ring := range spec.Rings {
			names = append(names, ring.Name)
		}
		known[plan] = names
	}
	out := make([]ringView, len(names))
	for i, name := range names {
		out[i] = ringView{Number: i + 1, Name: name, Look: ringEmpty, Variant: true}
	}
	return out, nil
}

// setHead is what of a set is to be known without judging its flags.
type setHead struct {
	name    string
	service string // whose requests judge its flags
	envs    []string
}

// setHeads are the declared sets with the environments that they name.
func (s *Server) setHeads(ctx context.Context) ([]setHead, error) {
	var heads []setHead
	err := s.each(ctx, resource.KindFlagSet, func(r resource.Resource) error {
		heads = append(heads, headOf(r))
		return nil
	})
	return heads, err
}

func headOf(r resource.Resource) setHead {
	h := setHead{name: r.Metadata.Name}
	var spec struct {
		Service      string
		Environments []string
		Flags        json.RawMessage
	}
	_ = json.Unmarshal(r.Spec, &spec) // what cannot be read names no environment
	if h.service, h.envs = spec.Service, spec.Environments; len(h.envs) > 0 {
		return h
	}
	var flags map[string]struct{ Environments map[string]json.RawMessage }
	_ = json.Unmarshal(spec.Flags, &flags)
	for _, f := range flags {
		for env := range f.Environments {
			if !slices.Contains(h.envs, env) {
				h.envs = append(h.envs, env)
			}
		}
	}
	return h
}

// envLinks are production and what else sets name; the one that is looked at is among them.
func envLinks(heads []setHead, here string, link func(string) string) []envLink {
	names := []string{flag.Production, here}
	for _, h := range heads {
		names = append(names, h.envs...)
	}
	rest := names[1:]
	slices.Sort(rest)
	var out []envLink
	for _, name := range slices.Compact(names) {
		if !slices.ContainsFunc(out, func(e envLink) bool { return e.Name == name }) {
			out = append(out, envLink{name, link(name), name == here})
		}
	}
	return out
}
