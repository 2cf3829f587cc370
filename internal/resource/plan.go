package resource

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// Limits of audiences.
const (
	maxRule    = 64 << 10
	maxNesting = 8

	forms = "users, segment, tenants, regions, percent, rule or any"
)

func (p *problems) segment(s *Segment, rule RuleCheck) {
	at := "spec.audience"
	p.need(!s.Audience.Everyone(), at, forms, "is empty: a segment of everyone separates nobody")
	p.audience(s.Audience, at, rule, 0)
}

// Everyone says whether the audience has no form, which means everyone.
func (a Audience) Everyone() bool { return len(a.forms()) == 0 }

func (a Audience) forms() []string {
	var set []string
	for _, f := range []struct {
		name string
		set  bool
	}{{"users", a.Users != nil}, {"segment", a.Segment != ""}, {"tenants", a.Tenants != nil}, {"regions", a.Regions != nil}, {"percent", a.Percent != nil}, {"rule", a.Rule != nil}, {"any", a.Any != nil}} {
		if f.set {
			set = append(set, f.name)
		}
	}
	return set
}

func (p *problems) audience(a Audience, path string, rule RuleCheck, depth int) {
	if depth > maxNesting {
		p.add(path, fmt.Sprintf("at most %d levels", maxNesting), "nests too deep")
		return
	}
	if set := a.forms(); len(set) > 1 {
		p.add(path, "exactly one of them; any joins several", "has both %s", strings.Join(set, " and "))
		return
	}
	switch {
	case a.Users != nil:
		p.keys(a.Users, field(path, "users"), "a targeting key")
	case a.Segment != "":
		p.name(a.Segment, field(path, "segment"))
	case a.Tenants != nil:
		p.keys(a.Tenants, field(path, "tenants"), "a tenant")
	case a.Regions != nil:
		p.keys(a.Regions, field(path, "regions"), "a region")
	case a.Rule != nil:
		p.rule(a.Rule, field(path, "rule"), rule)
	case a.Any != nil:
		at := field(path, "any")
		p.need(len(a.Any) > 0, at, "at least one audience", "is empty")
		for i, one := range a.Any {
			p.need(!one.Everyone(), item(at, i), forms, "is empty, which would take everyone")
			p.audience(one, item(at, i), rule, depth+1)
		}
	}
}

func (p *problems) keys(list []string, path, what string) {
	p.need(len(list) > 0, path, "at least one", "is empty")
	seen := map[string]bool{}
	for i, u := range list {
		p.need(u != "" && len(u) <= 256, item(path, i), "1 to 256 characters", "%s of %d", what, len(u))
		p.need(!seen[u], item(path, i), "each once", "%q stands twice", clip(u))
		seen[u] = true
	}
}

func (p *problems) rule(raw json.RawMessage, path string, check RuleCheck) {
	if !strings.HasPrefix(string(raw), "{") {
		p.add(path, "a rule such as {in: [a, [b, c]]}", "got %s", clip(string(raw)))
		return
	}
	if len(raw) > maxRule {
		p.add(path, fmt.Sprintf("at most %d", maxRule), "has %d bytes", len(raw))
		return
	}
	if check == nil {
		return
	}
	if err := check(raw); err != nil {
		p.add(path, "", "%s", clip2(err.Error()))
	}
}

// clip2 leaves room for what a compiler has to say, or for a long way.
func clip2(s string) string { return strings.ToValidUTF8(s[:min(len(s), 400)], "") }

// plan refuses plans that cannot work: one that never reaches everyone, or whose later rings hold nobody new.
func (p *problems) plan(plan *RingPlan, rule RuleCheck) {
	names, audiences := map[string]int{}, map[string]int{}
	p.hours(plan.Hours, "spec.hours")
	p.within(plan.Standby, 90*24*time.Hour, "spec.standby")
	full := plan.Defaults()
	percent, percentAt := 0.0, 0
	for i, r := range plan.Rings {
		at := item("spec.rings", i)
		p.name(r.Name, at+".name")
		if j, twice := names[r.Name]; twice {
			p.add(at+".name", "a name of its own", "%q is also the name of rings[%d]", clip(r.Name), j)
		}
		names[r.Name] = i
		p.ringAudience(r, at, i == len(plan.Rings)-1, rule)
		if key, err := json.Marshal(Ring{Audience: r.Audience, Units: r.Units}); err == nil && (!r.Audience.Everyone() || r.Units != nil) {
			if j, twice := audiences[string(key)]; twice {
				p.add(at+".audience", "users who are not in an earlier ring", "is that of rings[%d]: nobody would be new", j)
			}
			audiences[string(key)] = i
		}
		if v := r.Audience.Percent; v != nil && r.Units == nil {
			p.need(*v > percent, at+".audience.percent", "more than "+plain(percent)+fmt.Sprintf(", that of rings[%d]", percentAt),
				"%s does not grow: nobody would be new", plain(*v))
			percent, percentAt = max(percent, *v), i
		}
		if i > 0 {
			p.bake(r.Bake, full.Rings[i-1].Bake, at+".bake", i-1)
		}
		p.within(r.Bake, 90*24*time.Hour, at+".bake")
		p.need(r.HotfixBake <= full.Rings[i].Bake, at+".hotfixBake", "at most bake, "+full.Rings[i].Bake.String(), "%s is longer", r.HotfixBake)
		p.hours(r.Hours, at+".hours")
		p.approval(r, at)
	}
	p.gates(plan.Gates, names)
	p.bearing(plan)
}

// bearing wants a gate that decides in every ring: without one, nothing ever says that a change may leave it.
func (p *problems) bearing(plan *RingPlan) {
	for i, r := range plan.Rings {
		bears := func(g Gate) bool {
			return !g.Informing && g.When != "before" && (len(g.Rings) == 0 || slices.Contains(g.Rings, r.Name))
		}
		p.need(len(plan.Gates) == 0 || slices.ContainsFunc(plan.Gates, bears), item("spec.rings", i), "a gate that judges while it bakes and is not informing",
			"no gate decides in ring %s, so nothing would ever pass it", clip(r.Name))
	}
}

func (p *problems) bake(own, before fleet.Dur, path string, i int) {
	p.need(own == 0 || own >= before, path, fmt.Sprintf("at least %s, that of rings[%d]", before, i), "%s is shorter than in the ring before", own)
}

func (p *problems) ringAudience(r Ring, at string, last bool, rule RuleCheck) {
	p.need(r.Units == nil || len(r.Units) > 0, at+".units", "at least one unit", "is empty")
	p.names(r.Units, at+".units")
	if last {
		p.need(r.Units == nil, at+".units", "none", "the last ring takes everyone, wherever they are")
	}
	at += ".audience"
	if last {
		p.need(r.Audience.Everyone(), at, "none", "the last ring takes everyone: a change has to end there")
		return
	}
	if r.Audience.Everyone() && len(r.Units) > 0 {
		return // everyone there
	}
	p.need(!r.Audience.Everyone(), at, forms, "is missing: only the last ring takes everyone")
	if r.Audience.Percent != nil {
		p.need(*r.Audience.Percent < 100, at+".percent", "less than 100", "100 is everyone, which is for the last ring")
	}
	p.audience(r.Audience, at, rule, 0)
}
