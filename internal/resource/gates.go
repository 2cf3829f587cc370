package resource

import (
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

func (p *problems) gates(gates []Gate, rings map[string]int) {
	seen := map[string]int{}
	for i, g := range gates {
		at := item("spec.gates", i)
		p.gate(g, at)
		name := g.Defaults().Name
		p.need(len(name) <= 63 && printable(name), at+".name", "at most 63 characters", "got %q", clip(name))
		if j, twice := seen[name]; twice {
			p.add(at, "a name of its own", "is called %s as gates[%d] is", clip(name), j)
		}
		seen[name] = i
		for k, ring := range g.Rings {
			_, there := rings[ring]
			p.need(there, item(at+".rings", k), "the name of a ring of this plan", "there is no ring %q", clip(ring))
			p.need(slices.Index(g.Rings, ring) == k, item(at+".rings", k), "each once", "%q stands twice", clip(ring))
		}
	}
}

// gate refuses settings of another signal: they would be taken for ones that do something.
func (p *problems) gate(g Gate, at string) {
	counts := g.Signal == "errors" || g.Signal == "latency"
	compared := counts || g.Signal == "quantile"
	for _, f := range []struct {
		name       string
		given, may bool
		of         string
	}{
		{"over", g.Over != 0, g.Signal == "latency", "latency"},
		{"quantile", g.Quantile != 0, g.Signal == "quantile", "quantile"},
		{"compare", g.Compare != "", compared, "errors, latency and quantile"},
		{"maxRatio", g.MaxRatio != 0, compared, "errors, latency and quantile; a series has its own"},
		{"maxShare", g.MaxShare != 0, counts, "errors and latency"},
		{"minRequests", g.MinRequests != 0, compared, "errors, latency and quantile"},
		{"alpha", g.Alpha != 0, compared || g.Signal == "series", "errors, latency, quantile and series"},
		{"query", g.Query != "", g.Signal == "query", "query"},
		{"max", g.Max != nil, g.Signal == "query" || g.Signal == "quantile", "query and quantile"},
		{"min", g.Min != nil, g.Signal == "query", "query"},
		{"failures", g.Failures != 0, g.Outside(), "query, webhook, command, probe and alerts"},
		{"series", g.Series != nil, g.Signal == "series", "series"},
		{"webhook", g.Webhook != nil, g.Signal == "webhook", "webhook"},
		{"command", g.Command != nil, g.Signal == "command", "command"},
		{"probe", g.Probe != nil, g.Signal == "probe", "probe"},
	} {
		p.need(!f.given || f.may, field(at, f.name), "none", "signal %s has no such setting: it is for %s", g.Signal, f.of)
	}
	p.need(g.When == "" || g.When == "during" || g.Outside(), at+".when", "during", "%s cannot be judged before users see the change", g.Signal)
	p.need(g.Every == 0 || time.Duration(g.Every) >= time.Second, at+".every", "at least 1s", "%s is too often", g.Every)
	p.within(g.Every, 24*time.Hour, at+".every")
	p.need(g.Compare != "none" || g.MaxRatio == 0, at+".maxRatio", "none with compare: none", "there is nothing to compare with")
	p.signal(g, at)
}

// signal wants what the gate's signal cannot do without.
func (p *problems) signal(g Gate, at string) {
	switch g.Signal {
	case "latency":
		p.need(g.Over != 0, at+".over", "a duration such as 300ms", "is missing: latency is judged by the share of requests slower than it")
		p.within(g.Over, time.Hour, at+".over")
		p.need(g.Compare != "none" || g.MaxShare != 0, at+".maxShare", "a share such as 0.01", "is missing: without compare nothing else would be judged")
	case "quantile":
		p.need(g.Compare != "none" || g.Max != nil, at+".max", "a number of seconds", "is missing: without compare nothing else would be judged")
		p.need(g.Max == nil || *g.Max > 0, at+".max", "seconds above 0", "is not")
	case "query":
		p.need(g.Query != "", at+".query", "a PromQL expression", "is missing")
		p.need(g.Max != nil || g.Min != nil, at+".max", "a limit: max, min or both", "is missing")
	case "series":
		p.need(g.Series != nil, at+".series", "canary and stable, two PromQL expressions", "is missing")
		if s := g.Series; s != nil {
			p.need(s.Canary != "", at+".series.canary", "a PromQL expression", "is empty")
			p.need(s.Stable != "", at+".series.stable", "a PromQL expression", "is empty")
			p.need(s.Method != "mannWhitney" || s.MaxRatio == 0, at+".series.maxRatio", "none with mannWhitney", "that method has no such setting")
			p.need(s.MaxRatio == 0 || s.MaxRatio >= 1, at+".series.maxRatio", "at least 1", "got %s", plain(s.MaxRatio))
		}
	case "webhook":
		p.webhook(g.Webhook, at+".webhook")
	case "command":
		p.command(g.Command, at+".command")
	case "probe":
		p.probe(g.Probe, at+".probe")
	}
}

func (p *problems) webhook(w *WebhookGate, at string) {
	if w == nil {
		p.add(at, "a url", "is missing")
		return
	}
	p.httpURL(w.URL, at+".url")
	p.need(w.SecretFile == "" || path.IsAbs(w.SecretFile), at+".secretFile", "an absolute path", "got %q", clip(w.SecretFile))
	p.within(w.Timeout, 5*time.Minute, at+".timeout")
}

func (p *problems) command(c *CommandGate, at string) {
	if c == nil {
		p.add(at, "the name of a program in the folder of commands", "is missing")
		return
	}
	p.need(c.Name != "" && !strings.ContainsAny(c.Name, "/\\") && !strings.HasPrefix(c.Name, ".") && printable(c.Name), at+".name",
		"the name of a program in the folder of commands, without a path", "got %q", clip(c.Name))
	p.within(c.Timeout, time.Hour, at+".timeout")
}

func (p *problems) probe(b *ProbeGate, at string) {
	if b == nil {
		p.add(at, "a path or a url", "is missing")
		return
	}
	if b.Name != "" {
		p.name(b.Name, at+".name")
		p.need(*b == ProbeGate{Name: b.Name, MaxRatio: b.MaxRatio, Rounds: b.Rounds}, at, "with name, maxRatio and rounds only", "the Probe says what is asked and expected")
		return
	}
	p.need(b.MaxRatio == 0 && b.Rounds == 0, at, "maxRatio and rounds with name only", "there is nothing to compare with")
	p.need((b.Path == "") != (b.URL == ""), at, "either path or url", "has %s", map[bool]string{true: "neither", false: "both"}[b.Path == ""])
	if b.Path != "" {
		p.urlPath(b.Path, at+".path", true)
	}
	if b.URL != "" {
		p.httpURL(b.URL, at+".url")
	}
	p.within(b.Timeout, 5*time.Minute, at+".timeout")
}

func (p *problems) httpURL(s, at string) {
	u, err := url.Parse(s)
	ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && printable(s)
	p.need(ok, at, "an http or https URL without a password in it", "got %q", clip(s))
}

func (p *problems) approval(r Ring, at string) {
	a := r.Approval
	if a == nil {
		return
	}
	p.need(r.Button != "red", at+".button", "green", "is red, which waits for nobody, next to an approval")
	p.approving(a, at+".approval")
}
