package ui

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/switchboard"
)

// flagPage is one flag in one environment.
type flagPage struct {
	*visit
	switchboard.View
	Envs     []envLink
	Gives    chip
	How      string
	Headline string
	Told     string
	Tone     string
	Art      *art
	Ramp     *rollout.State
	RampTone string
	Got      int64  // how many users got what it brings
	Left     string // how long the ring in trial still bakes
	Actions  []flagAction
	Variants []variantRow
	Rule     []ruleLine
	RuleJSON string
	Across   []acrossRow // environments side by side
	Ask      explained
	History  []historyEntry
	Earlier  []past
	Reviews  []string // environments of the set that have reviewers
	Counts   string   // the service whose requests are compared
}

// flagAction is a button of a flag's page.
type flagAction struct {
	Verb, Label, Key, To string
	Loud, Main           bool
}

// variantRow is a variant with what is said of it.
type variantRow struct {
	chip
	Value string
	Is    []string
}

// acrossRow is a flag in one environment.
type acrossRow struct {
	Env, Link  string
	Here       bool
	State      string
	Default    chip
	Gives      chip
	Exposure   *flag.Plan
	Rule       string
	Ramp       string
	RampLink   string
	RampTone   string
	Reviewed   bool
	Overridden []string // what is set for this environment alone
}

// explained answers who gets what, and why.
type explained struct {
	Asked         bool
	User, Context string
	Problem       string
	Answer        switchboard.Explanation
	Gets          chip
	Value         string
}

func subjectOf(r *http.Request) flag.Subject {
	return flag.Subject{Set: r.PathValue("set"), Key: r.PathValue("key"), Environment: environmentOf(r)}
}

func (s *Server) flag(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx, subject := r.Context(), subjectOf(r)
	view, err := s.Board.Flag(ctx, subject, v.Now)
	if err != nil {
		return err
	}
	set, err := s.Catalog.Get(ctx, resource.KindFlagSet, subject.Set)
	if err != nil {
		return err
	}
	doc, problems := flag.Of(set)
	if doc == nil || doc.Flags[subject.Key] == nil {
		return errs.Wrap(errs.Internal, resource.Refuse(problems), "flag set %s is damaged", subject.Set)
	}
	v.Title, v.Live = subject.Key, "flag/"+subject.String()
	p := &flagPage{visit: v, View: view, Counts: doc.Service}
	p.Gives, p.How = givesOf(view)
	for env := range doc.Reviewers {
		p.Reviews = append(p.Reviews, env)
	}
	slices.Sort(p.Reviews)
	if err := s.rampOn(ctx, p); err != nil {
		return err
	}
	p.define(set, subject)
	if err := s.across(ctx, p, set, subject); err != nil {
		return err
	}
	if p.History, err = s.flagHistory(ctx, subject); err != nil {
		return err
	}
	p.act(subject)
	p.Ask = s.explain(r, subject, p)
	return s.show(w, r, http.StatusOK, "flag", p)
}

// rampOn tells of the newest rollout of the flag, and of those before.
func (s *Server) rampOn(ctx context.Context, p *flagPage) error {
	p.Tone = "calm"
	p.Headline = "Everyone gets " + p.Gives.Name
	switch {
	case p.State == "archived":
		p.Headline, p.Told = "It is archived", "It answers as if it were disabled: whoever asks uses their own default."
	case p.State == "disabled":
		p.Headline, p.Told = "It is off in "+p.Environment, "Whoever asks uses their own default."
	case p.How != "":
		p.Told = sentenceCase(p.How)
	}
	if p.Exposure == nil {
		return nil
	}
	all, err := s.Rollouts.List(ctx, p.Subject)
	if err != nil {
		return err
	}
	for _, st := range all[:min(len(all), 10)] {
		one := past{State: st, Tone: toneOf(st, "hold"), Took: p.Now.Sub(st.Created)}
		one.Outcome, _ = headline(st, "")
		if st.Phase.Ended() {
			one.Took = st.Ended.Sub(st.Created)
		}
		rings := ringsOf(st, "hold", p.Now)
		one.Art = draw("past-"+st.ID, rings, one.Tone, "", describe(st, rings), false)
		one.Art.Paint = paintsOf(p.View)[st.To]
		p.Earlier = append(p.Earlier, one)
	}
	if len(all) == 0 {
		rings, err := s.ringNames(ctx, p.Exposure.Plan, map[string][]string{})
		if err != nil {
			return err
		}
		a := draw("rings", rings, "calm", "", "No ring of plan "+p.Exposure.Plan+" has variant "+p.Exposure.Variant+" yet.", true)
		p.Art = &a
		if p.State == "enabled" {
			p.Told = sentenceCase("variant " + p.Exposure.Variant + " can be brought to them by plan " + p.Exposure.Plan)
		}
		return nil
	}
	return s.drawRamp(ctx, p, all[0])
}

func (s *Server) drawRamp(ctx context.Context, p *flagPage, st rollout.State) error {
	waiting, ev, err := s.Rollouts.Waiting(ctx, st.ID, p.Now)
	if err != nil && !errs.Is(err, errs.Missing) {
		return err
	}
	verdict := rollout.Judge(st, ev)
	rings := ringsOf(st, verdict, p.Now)
	p.Ramp, p.RampTone, p.Got = &st, toneOf(st, verdict), s.exposedTo(ctx, st)
	a := draw("rings", rings, p.RampTone, glyphOf(st, verdict), describe(st, rings), true)
	a.Paint = paintsOf(p.View)[st.To]
	p.Art = &a
	if p.State != "enabled" {
		return nil
	}
	p.Tone = p.RampTone
	ring := ""
	if st.Ring >= 0 {
		ring = st.Rings[st.Ring].Name
		p.Left = rings[st.Ring].Left
	}
	_, p.Headline = headline(st, ring)
	if p.Told = sentenceCase(plainSpans(brief(waiting))); p.Told == "" {
		p.Told = sentenceCase(st.Reason)
	}
	if paused(st) && !st.Halted {
		p.Told = pausedText(st)
	}
	return nil
}

// define tells of the definition.
func (p *flagPage) define(set resource.Resource, subject flag.Subject) {
	colours := paintsOf(p.View)
	for _, x := range p.View.Variants {
		row := variantRow{chip: chip{colours[x.Name], x.Name}, Value: compact(x.Value)}
		if x.Name == p.Default {
			row.Is = append(row.Is, "default")
		}
		if p.Exposure != nil && x.Name == p.Exposure.Variant {
			row.Is = append(row.Is, "brought by rings")
		}
		if p.Preview != nil && x.Name == p.Preview.Variant {
			row.Is = append(row.Is, "preview")
		}
		p.Variants = append(p.Variants, row)
	}
	tree := flagTree(set, subject.Key)
	rule := tree["targeting"]
	if own, ok := envTree(tree, subject.Environment)["targeting"]; ok {
		rule = own
	}
	if m, ok := rule.(map[string]any); ok && len(m) > 0 {
		p.Rule = ruleLines(rule)
		p.RuleJSON = indented(rule)
	}
}

func envTree(tree map[string]any, env string) map[string]any {
	envs, _ := tree["environments"].(map[string]any)
	own, _ := envs[env].(map[string]any)
	return own
}

func compact(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return clip(string(raw), 400)
}

func indented(v any) string {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return ""
	}
	return clip(string(raw), maxShown)
}

// across puts the environments side by side.
func (s *Server) across(ctx context.Context, p *flagPage, set resource.Resource, subject flag.Subject) error {
	heads := []setHead{headOf(set)}
	own := len(p.Environments) > 0
	for _, e := range envLinks(heads, subject.Environment, func(env string) string {
		return flagURL(flag.Subject{Set: subject.Set, Key: subject.Key, Environment: env}, "")
	}) {
		if own && !slices.Contains(p.Environments, e.Name) {
			continue
		}
		p.Envs = append(p.Envs, e)
	}
	tree := flagTree(set, subject.Key)
	for _, e := range p.Envs {
		v := p.View
		if !e.Here {
			var err error
			if v, err = s.Board.Flag(ctx, flag.Subject{Set: subject.Set, Key: subject.Key, Environment: e.Name}, p.Now); err != nil {
				return err
			}
		}
		row := acrossRow{Env: e.Name, Link: e.Link, Here: e.Here, State: v.State, Exposure: v.Exposure, Reviewed: v.Reviewed}
		row.Gives, _ = givesOf(v)
		if row.Default = (chip{paintsOf(v)[v.Default], v.Default}); v.Default == "" {
			row.Default = chip{"none", "code default"}
		}
		over := envTree(tree, e.Name)
		for _, k := range []string{"state", "defaultVariant", "targeting", "exposure"} {
			if _, ok := over[k]; ok {
				row.Overridden = append(row.Overridden, k)
			}
		}
		row.Rule = "none"
		if v.Targeted {
			row.Rule = "yes"
		}
		if rule, ok := over["targeting"]; ok {
			row.Rule = "its own"
			if m, _ := rule.(map[string]any); len(m) == 0 {
				row.Rule = "none"
			}
		}
		if v.Rollout != nil {
			row.Ramp, row.RampLink, row.RampTone = rampWords(v.Rollout), "/rollouts/"+v.Rollout.ID, toneOf(rampState(v), "hold")
		}
		p.Across = append(p.Across, row)
	}
	return nil
}

// act says what the visitor may do.
func (p *flagPage) act(s flag.Subject) {
	add := func(verb, label, key string, loud, main bool) {
		p.Actions = append(p.Actions, flagAction{Verb: verb, Label: label, Key: key, To: flagURL(s, verb), Loud: loud, Main: main})
	}
	change := p.MayChange()
	if p.State == "enabled" && p.May() {
		if p.Exposure != nil && !flying(p.Rollout) && len(p.View.Variants) > 1 {
			add("expose", "Bring a variant to users", "e", false, true)
		}
		add("off", "Switch off", "o", true, false)
		if p.Exposure != nil { // else switching off is that
			add("disable", "Disable", "", false, false)
		}
	}
	if !change {
		return
	}
	switch p.State {
	case "disabled":
		add("enable", "Enable", "n", false, true)
		add("archive", "Archive", "", false, false)
	case "archived":
		add("restore", "Take out of the archive", "n", false, true)
	default:
		add("archive", "Archive", "", false, false)
	}
	if slices.ContainsFunc(p.History, func(h historyEntry) bool { return h.Undoable }) {
		add("undo", "Undo the last change", "u", false, false)
	}
}

// explain answers the form.
func (s *Server) explain(r *http.Request, subject flag.Subject, p *flagPage) explained {
	q := r.URL.Query()
	out := explained{Asked: q.Has("user"), User: strings.TrimSpace(q.Get("user")), Context: strings.TrimSpace(q.Get("context"))}
	if !out.Asked {
		return out
	}
	attributes := map[string]any{}
	var err error
	switch {
	case len(out.User) > 512 || len(out.Context) > 4000:
		err = errs.E(errs.Invalid, "the context: expected a targeting key of at most 512 bytes and at most 4000 of attributes")
	case strings.HasPrefix(out.Context, "{"):
		dec := json.NewDecoder(strings.NewReader(out.Context))
		if err = dec.Decode(&attributes); err == nil && dec.More() {
			err = errs.E(errs.Invalid, "more follows after the object")
		}
	default:
		attributes, err = attributesOf(out.Context)
	}
	if err != nil {
		out.Problem = sentenceCase("the attributes: " + err.Error() + `; as in {"plan": "beta", "seats": 12}, or plan=beta`)
		return out
	}
	user := &exposure.Context{TargetingKey: out.User, Attributes: attributes, Timestamp: p.Now.Unix()}
	if key, ok := attributes["targetingKey"].(string); ok && out.User == "" {
		user.TargetingKey, out.User = key, key
	}
	if out.Answer, err = s.Board.Explain(r.Context(), subject, user); err != nil {
		out.Problem = sentenceCase(err.Error())
		return out
	}
	out.Gets = chip{paintsOf(p.View)[out.Answer.Variant], out.Answer.Variant}
	if out.Answer.Variant == "" {
		out.Gets = chip{"none", "code default"}
	} else {
		out.Value = compact(out.Answer.Value)
	}
	return out
}

// At is the flag's page without an environment, or one below it.
func (p *flagPage) At(below string) string {
	return flagURL(flag.Subject{Set: p.Set, Key: p.Key}, below)
}

// Other is the page of another flag of the set.
func (p *flagPage) Other(key string) string {
	return flagURL(flag.Subject{Set: p.Set, Key: key, Environment: p.Environment}, "")
}

// exposedTo counts the users who got what a rollout of a flag brings, those of the ring in trial as they are counted now.
func (s *Server) exposedTo(ctx context.Context, st rollout.State) int64 {
	users := map[string]int64{}
	for _, stage := range st.Stages {
		users[stage.Ring] = stage.Users
	}
	if !st.Phase.Ended() {
		for ring, n := range s.flagUsers(ctx, st) {
			users[ring] = max(users[ring], n)
		}
	}
	var all int64
	for _, n := range users {
		all += n
	}
	return all
}

// flagUsers counts the users who have got what a rollout of a flag brings, by ring: all who are told of, or those whom the data
// planes of the service that judges it have seen.
func (s *Server) flagUsers(ctx context.Context, st rollout.State) map[string]int64 {
	counts := ""
	if subject, err := flag.ParseSubject(st.Service); err == nil {
		if set, err := s.Catalog.Get(ctx, resource.KindFlagSet, subject.Set); err == nil {
			counts = headOf(set).service
		}
	}
	most := map[string]int64{}
	for _, units := range [][]string{{flag.Unit}, s.unitsOf(ctx, counts)} {
		users := map[string]int64{}
		for _, unit := range units {
			status, _ := s.Hub.Observe(unit, st.Service)
			for _, u := range status.Users {
				if u.Version == st.To {
					users[u.Ring] += u.Users
				}
			}
		}
		for ring, n := range users {
			most[ring] = max(most[ring], n)
		}
	}
	return most
}

// Flying says that a rollout is in flight.
func (p *flagPage) Flying() bool { return p.Ramp != nil && !p.Ramp.Phase.Ended() }

// Overdue says that the flag's day has come.
func (p *flagPage) Overdue() bool { return !p.Expires.IsZero() && !p.Now.Before(p.Expires) }

// Day writes a date.
func (p *flagPage) Day(t time.Time) string { return t.Format(time.DateOnly) }
