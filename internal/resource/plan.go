package resource

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// Limits of audiences.
const (
	maxRule    = 64 << 10
	maxNesting = 8
)

func (p *problems) segment(s *Segment, rule RuleCheck) {
	at := "spec.audience"
	p.need(!s.Audience.Everyone(), at, "users, segment, percent, rule or any", "is empty: a segment of everyone separates nobody")
	p.audience(s.Audience, at, rule, 0)
}

// Everyone says whether the audience has no form, which means everyone.
func (a Audience) Everyone() bool { return len(a.forms()) == 0 }

func (a Audience) forms() []string {
	var forms []string
	for _, f := range []struct {
		name string
		set  bool
	}{{"users", a.Users != nil}, {"segment", a.Segment != ""}, {"percent", a.Percent != nil}, {"rule", a.Rule != nil}, {"any", a.Any != nil}} {
		if f.set {
			forms = append(forms, f.name)
		}
	}
	return forms
}

func (p *problems) audience(a Audience, path string, rule RuleCheck, depth int) {
	if depth > maxNesting {
		p.add(path, fmt.Sprintf("at most %d levels", maxNesting), "nests too deep")
		return
	}
	if forms := a.forms(); len(forms) > 1 {
		p.add(path, "exactly one of them; any joins several", "has both %s", strings.Join(forms, " and "))
		return
	}
	switch {
	case a.Users != nil:
		p.users(a.Users, field(path, "users"))
	case a.Segment != "":
		p.name(a.Segment, field(path, "segment"))
	case a.Rule != nil:
		p.rule(a.Rule, field(path, "rule"), rule)
	case a.Any != nil:
		at := field(path, "any")
		p.need(len(a.Any) > 0, at, "at least one audience", "is empty")
		for i, one := range a.Any {
			p.need(!one.Everyone(), item(at, i), "users, segment, percent, rule or any", "is empty, which would take everyone")
			p.audience(one, item(at, i), rule, depth+1)
		}
	}
}

func (p *problems) users(users []string, path string) {
	p.need(len(users) > 0, path, "at least one targeting key", "is empty")
	seen := map[string]bool{}
	for i, u := range users {
		p.need(u != "" && len(u) <= 256, item(path, i), "1 to 256 characters", "a targeting key of %d", len(u))
		p.need(!seen[u], item(path, i), "each key once", "%q stands twice", clip(u))
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
		if key, err := json.Marshal(r.Audience); err == nil && !r.Audience.Everyone() {
			if j, twice := audiences[string(key)]; twice {
				p.add(at+".audience", "users who are not in an earlier ring", "is that of rings[%d]: nobody would be new", j)
			}
			audiences[string(key)] = i
		}
		if v := r.Audience.Percent; v != nil {
			p.need(*v > percent, at+".audience.percent", "more than "+plain(percent)+fmt.Sprintf(", that of rings[%d]", percentAt),
				"%s does not grow: nobody would be new", plain(*v))
			percent, percentAt = max(percent, *v), i
		}
		if i > 0 {
			p.bake(r.Bake, full.Rings[i-1].Bake, at+".bake", i-1)
		}
		p.within(r.Bake, 90*24*time.Hour, at+".bake")
	}
	p.gates(plan.Gates)
}

func (p *problems) bake(own, before fleet.Dur, path string, i int) {
	p.need(own == 0 || own >= before, path, fmt.Sprintf("at least %s, that of rings[%d]", before, i), "%s is shorter than in the ring before", own)
}

func (p *problems) ringAudience(r Ring, at string, last bool, rule RuleCheck) {
	at += ".audience"
	if last {
		p.need(r.Audience.Everyone(), at, "none", "the last ring takes everyone: a change has to end there")
		return
	}
	p.need(!r.Audience.Everyone(), at, "users, segment, percent, rule or any", "is missing: only the last ring takes everyone")
	if r.Audience.Percent != nil {
		p.need(*r.Audience.Percent < 100, at+".percent", "less than 100", "100 is everyone, which is for the last ring")
	}
	p.audience(r.Audience, at, rule, 0)
}

func (p *problems) gates(gates []Gate) {
	seen := map[string]int{}
	for i, g := range gates {
		at := item("spec.gates", i)
		p.gate(g, at)
		key := fmt.Sprintf("%s over %s", g.Signal, g.Over)
		if g.Signal == "errors" {
			key = "errors"
		}
		if j, twice := seen[key]; twice {
			p.add(at, "one gate for a signal", "judges %s as gates[%d] does", key, j)
		}
		seen[key] = i
	}
}

func (p *problems) gate(g Gate, at string) {
	if g.Signal == "latency" {
		p.need(g.Over != 0, at+".over", "a duration such as 300ms", "is missing: latency is judged by the share of requests slower than it")
		p.within(g.Over, time.Hour, at+".over")
		p.need(g.Compare != "none" || g.MaxShare != 0, at+".maxShare", "a share such as 0.01", "is missing: without compare nothing else would be judged")
	} else {
		p.need(g.Over == 0, at+".over", "none", "only latency has a threshold")
	}
	p.need(g.Compare != "none" || g.MaxRatio == 0, at+".maxRatio", "none with compare: none", "there is nothing to compare with")
}
