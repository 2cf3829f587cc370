package breach

import (
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/policy"
)

// World is what there is to get to.
type World struct {
	Principals []policy.Principal
	Services   []Service
	FlagSets   []string
	Units      []string
	May        func(policy.Principal, policy.Action) bool
}

// Service is a service with the rings that a change of it goes through, and who approves them.
type Service struct {
	Name  string
	Rings []Ring
}

// Ring is a ring and the groups whose approval it needs, with their members.
type Ring struct {
	Name      string
	Approvers []string // names
}

// Step is one way on in the graph.
type Step struct {
	From string `json:"from" doc:"where one stands, as kind/name"`
	To   string `json:"to" doc:"what one gets to"`
	By   string `json:"by" doc:"by which right, or whose name"`
}

// Reached is something that is got to, with the way there.
type Reached struct {
	What string `json:"what" doc:"as kind/name"`
	Path []Step `json:"path" doc:"how, from the principal on"`
}

// Reach answers what who has the identity of a principal gets to, the nearest first: by its own rights, by names that it may take, and by the
// changes that it can bring to users.
func Reach(w World, name string) []Reached {
	start := "principal/" + name
	paths := map[string][]Step{start: {}}
	queue := []string{start}
	var out []Reached
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, s := range w.steps(at) {
			if _, seen := paths[s.To]; seen {
				continue
			}
			paths[s.To] = append(slices.Clone(paths[at]), s)
			queue = append(queue, s.To)
			out = append(out, Reached{What: s.To, Path: paths[s.To]})
		}
	}
	return out
}

// steps are the ways on from a place.
func (w World) steps(at string) []Step {
	kind, name, _ := strings.Cut(at, "/")
	switch kind {
	case "principal":
		return w.ofPrincipal(at, name)
	case "line":
		return w.ofLine(at)
	case "declared":
		return w.ofDeclared(at)
	}
	return nil
}

func (w World) ofPrincipal(at, name string) []Step {
	var out []Step
	for _, p := range w.Principals {
		if p.Name != name {
			continue
		}
		for _, r := range []struct {
			action policy.Action
			to     string
			by     string
		}{
			{policy.Change, "declared/everything", "may change what is declared"}, {policy.Decide, "line/releases", "may release and decide on rollouts"},
			{policy.Fetch, "artifacts/all", "may fetch artifacts"}, {policy.Export, "state/everything", "may take a copy of all state, with hashed tokens and environments"},
			{policy.Send, "evidence/events", "may send the events that rollouts and experiments are judged by"}, {policy.Alert, "evidence/alerts", "may send alerts, which hold changes back"},
			{policy.Operate, "instances/all", "may learn what a unit runs, and say what it sees"}, {policy.Read, "record/events", "may read the record and what is declared"},
		} {
			if w.May(p, r.action) {
				out = append(out, Step{From: at, To: r.to, By: r.by})
			}
		}
		if w.May(p, policy.Change) { // tokens are made by who may change: of any name and role
			for _, other := range w.Principals {
				if other.Name != name {
					out = append(out, Step{From: at, To: "principal/" + other.Name, By: "may make a token for anybody"})
				}
			}
		}
	}
	return out
}

// ofLine is what a release brings with it: a program of one's own, in the service's place, before its users. Rings that others approve are as far as one gets.
func (w World) ofLine(at string) []Step {
	var out []Step
	for _, s := range w.Services {
		for _, r := range s.Rings {
			if len(r.Approvers) > 0 {
				out = append(out, Step{From: at, To: "approval/" + s.Name + "/" + r.Name, By: "asks " + strings.Join(r.Approvers, ", ") + " to approve, and goes no further alone"})
				break
			}
			out = append(out, Step{From: at, To: "users/" + s.Name + "/" + r.Name, By: "a release of " + s.Name + " reaches ring " + r.Name + " by itself"})
		}
	}
	for _, f := range w.FlagSets {
		out = append(out, Step{From: at, To: "flags/" + f, By: "exposures of its flags are changed by rollouts"})
	}
	return out
}

func (w World) ofDeclared(at string) []Step {
	var out []Step
	for _, s := range w.Services {
		out = append(out, Step{From: at, To: "service/" + s.Name, By: "its command, route, plan and approvals are declared"})
	}
	for _, u := range w.Units {
		out = append(out, Step{From: at, To: "unit/" + u, By: "a service's command runs there"})
	}
	for _, f := range w.FlagSets {
		out = append(out, Step{From: at, To: "flags/" + f, By: "its definition is declared"})
	}
	return out
}
