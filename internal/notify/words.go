package notify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/rollout"
)

// What one message holds at most, so that every channel takes it.
const (
	maxLines = 15
	maxTitle = 140
	maxText  = 600
)

// headline is what a message that holds an event of a type can be about: the event of the greatest weight, the later of
// two. Title and next are put together with the fields of the event.
type headline struct {
	weight int
	mood   Mood
	title  func(told) string
	next   func(told) string
}

func say(s string) func(told) string { return func(told) string { return s } }

// about puts the name of what it happened to into a format.
func about(format string) func(told) string {
	return func(t told) string {
		_, name, _ := strings.Cut(t.Subject, "/")
		return fmt.Sprintf(format, name)
	}
}

func inRing(format string) func(told) string {
	return func(t told) string {
		if t.said.Ring == "" {
			return strings.TrimSuffix(format, " in ring %s")
		}
		return fmt.Sprintf(format, t.said.Ring)
	}
}

func command(format string) func(told) string {
	return func(t told) string { return strings.ReplaceAll(format, "{service}", t.Service) }
}

var nothing = say("")

// headlines says what people are to make of an event.
var headlines = map[string]headline{
	rollout.EvRolledBack: {100, Bad, func(t told) string { return back(t.From, "rolled back to "+t.From) }, func(t told) string {
		return fmt.Sprintf("Users are safe. Release a fixed version; %s is not released again unless somebody forces it with a reason.", label(t.To))
	}},
	rollout.EvHalted:    {90, Bad, haltedTitle, haltedNext},
	rollout.EvReverting: {80, Bad, func(t told) string { return back(t.From, "going back to "+t.From) }, say("Users are being sent back. Look at what failed before you release a fix.")},
	rollout.EvSucceeded: {75, Good, say("out to everyone"), nothing},
	rollout.EvAborted:   {70, Warn, say("called back"), nothing},
	rollout.EvRejected:  {68, Warn, inRing("approval of ring %s refused"), command("It stays where it is. Take it back with: ringfence rollout rollback {service}")},
	rollout.EvLost:      {66, Bad, say("no instance is ready"), command("It is taken back unless an instance becomes ready again. What it wrote: ringfence service logs {service}")},
	rollout.EvWarned:    {64, Warn, inRing("a gate failed in ring %s"), say("The gate does not take the change back by itself: decide whether somebody has to.")},
	rollout.EvRestrained: {63, Warn, func(t told) string {
		if t.said.Restraint == nil {
			return "error budgets restrain it no more"
		}
		return "restrained by error budgets"
	}, nothing},
	rollout.EvPreempted:  {62, Warn, say("pre-empted by a hotfix"), nothing},
	rollout.EvSuperseded: {60, Warn, say("given up for a newer one"), nothing},
	rollout.EvAsked:      {55, Warn, inRing("waits for approval of ring %s"), command("Look at it, then approve it with: ringfence rollout approve {service}, or refuse it with: ringfence rollout refuse {service}")},
	rollout.EvPaused:     {50, Warn, inRing("paused in ring %s"), command("It stays where it is until somebody says: ringfence rollout resume {service}")},
	rollout.EvResumed:    {50, Calm, say("goes on"), nothing},
	rollout.EvHurried:    {45, Warn, inRing("bake of ring %s cut short"), nothing},
	rollout.EvApproved:   {40, Calm, inRing("ring %s approved"), nothing},
	rollout.EvFound:      {38, Calm, say("an instance is ready again"), nothing},
	rollout.EvBaking:     {35, Calm, inRing("in ring %s"), nothing},
	rollout.EvPassed:     {30, Good, inRing("ring %s passed"), nothing},
	rollout.EvStarted:    {20, Calm, say("release begun"), nothing},
	rollout.EvRetired:    {15, Calm, say("the version before is stopped"), nothing},
	"line.stopped":       {95, Bad, say("The line is stopped"), say("Nothing moves outward. When it is safe, a second person lifts it with: ringfence stop-the-line lift")},
	"line.lifted":        {95, Good, say("The line goes on"), nothing},
	"unit.drained":       {60, Warn, about("Unit %s is taken out of service"), say("Rollouts wait before rings that have members there. Back: ringfence unit return")},
	"unit.returned":      {60, Good, about("Unit %s comes back"), nothing},
	EvFailed: {70, Bad, say("Somebody was not told"), func(t told) string {
		return "Look at the receiver and at its secret, then try it with: ringfence notifier test " + strings.TrimPrefix(t.Subject, "notifier/")
	}},
}

func haltedTitle(t told) string {
	switch {
	case isPerson(t.Actor):
		return inRing("halted in ring %s")(t)
	case t.goesBack():
		return inRing("harm detected in ring %s")(t) + ", taking it back"
	}
	return inRing("harm detected in ring %s")(t) + ", halted"
}

func haltedNext(t told) string {
	if t.goesBack() {
		return "Users are being sent back. Look at what failed before you release a fix."
	}
	return command("It stays where it is. Take it back with: ringfence rollout rollback {service}, or let it go on with: ringfence rollout resume {service}")(t)
}

func (t told) goesBack() bool {
	return t.state.Phase == rollout.RollingBack || t.state.Phase == rollout.RolledBack
}

// message puts the words for one message together.
func (w *worker) message(ctx context.Context, s Sending) (Message, error) {
	entries, err := w.entries(ctx, s)
	if err != nil {
		return Message{}, err
	}
	all, err := w.engine.lookUpAll(ctx, entries)
	if err != nil {
		return Message{}, err
	}
	m := compose(all)
	m.ID, m.At = s.ID, entries[len(entries)-1].Time
	return m, nil
}

func (e *Engine) lookUpAll(ctx context.Context, entries []audit.Event) ([]told, error) {
	states := map[string]rollout.State{}
	all := make([]told, 0, len(entries))
	for _, ev := range entries {
		t, err := e.lookUp(ctx, ev, states)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// compose finds what a group of events of one subject amounts to.
func compose(all []told) Message {
	at, best := 0, headline{mood: Calm}
	for i, t := range all {
		if h := headlines[t.Type]; h.weight >= best.weight {
			at, best = i, h
			if h.title == nil {
				best = headline{mood: Calm}
			}
		}
	}
	lead := all[at]
	m := Message{Mood: best.mood, Title: lead.title(best), Why: why(lead, all), Facts: lead.facts(all), Link: lead.Link}
	if best.next != nil {
		m.Next = best.next(lead)
	}
	for _, t := range all {
		m.Events = append(m.Events, t.Event)
		m.Lines = append(m.Lines, Line{t.Time, clip(t.Text, maxText)})
	}
	if n := len(m.Lines); n > maxLines {
		left := Line{m.Lines[n-maxLines].At, fmt.Sprintf("%d more before", n-maxLines+1)}
		m.Lines = append([]Line{left}, m.Lines[n-maxLines+1:]...)
	}
	if len(m.Lines) == 1 && best.title == nil {
		m.Lines = nil // the title says it
	}
	return m
}

func (t told) title(h headline) string {
	s := t.Text
	if h.title != nil {
		s = h.title(t)
	}
	if t.Rollout != "" {
		s = strings.TrimSpace(t.Service+" "+t.To) + ": " + s
	}
	return clip(oneLine(s), maxTitle)
}

// why is the reason of the headline, or of what led to it.
func why(lead told, all []told) string {
	reason := lead.said.Reason
	if lead.Rollout == "" {
		reason = cmp.Or(reasonOf(lead.Data), lead.freeze.Reason, lead.incident.Text)
	}
	if lead.Type == rollout.EvRolledBack || lead.Type == rollout.EvReverting {
		for _, t := range slices.Backward(all) {
			if t.Type == rollout.EvHalted || t.Type == rollout.EvAborted {
				reason = t.said.Reason
				break
			}
		}
		if reason == "" {
			reason = lead.state.Reason
		}
	}
	if lead.Type == rollout.EvJudged {
		reason = ""
	}
	return clip(sentence(oneLine(reason)), maxText)
}

func (t told) facts(all []told) []Fact {
	var facts []Fact
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, Fact{name, clip(oneLine(value), maxText)})
		}
	}
	add("Service", t.Service)
	if w := t.freeze.When; w.Start != "" {
		add("From", w.Start+" "+cmp.Or(w.Zone, "UTC"))
		add("To", w.End+" "+cmp.Or(w.Zone, "UTC"))
		add("Again", w.Rule)
		add("Services", strings.Join(t.freeze.Services, ", "))
	}
	if t.Rollout == "" {
		return facts
	}
	version := t.To
	if t.From != "" {
		version = t.From + " → " + t.To
	}
	add("Version", version)
	s := t.state
	ring := t.said.Ring
	if ring == "" && s.Ring >= 0 && s.Ring < len(s.Rings) {
		ring = s.Rings[s.Ring].Name
	}
	if i := slices.IndexFunc(s.Rings, func(r rollout.Ring) bool { return r.Name == ring }); i >= 0 {
		add("Ring", fmt.Sprintf("%s (%d of %d)", ring, i+1, len(s.Rings)))
	} else {
		add("Ring", ring)
	}
	if len(s.Units) > 1 {
		add("Units", strings.Join(s.Units, ", "))
	}
	add("Users who got it", t.users(all))
	if !s.HurtAt.IsZero() && !s.HaltedAt.IsZero() && headlines[t.Type].mood == Bad {
		add("Detected", strings.TrimPrefix(since(s.HaltedAt, s.HurtAt), ", "))
		add("Safe", strings.TrimPrefix(since(s.SafeAt, s.HurtAt), ", "))
	}
	add("Released by", person(t.By))
	return facts
}

// users counts those who got the new version so far: those of each ring are others.
func (t told) users(all []told) string {
	var n int64
	for _, st := range t.state.Stages {
		in := st.Users
		for _, other := range all {
			if other.said.Ring == st.Ring {
				in = max(in, other.said.Users)
			}
		}
		n += in
	}
	switch {
	case n > 0:
		return fmt.Sprint(n)
	case t.state.ID != "" && len(t.state.Stages) == 0 && headlines[t.Type].mood == Bad:
		return "nobody"
	}
	return ""
}

// oneLine takes out what would break a line, steer a terminal or hide text.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// sentence makes a reason one.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	if first, _, _ := strings.Cut(s, " "); !strings.ContainsAny(first, "0123456789") { // a version stays as it is written
		r, n := utf8.DecodeRuneInString(s)
		s = string(unicode.ToUpper(r)) + s[n:]
	}
	if !strings.ContainsAny(s[len(s)-1:], ".!?") && !strings.HasSuffix(s, "…") {
		s += "."
	}
	return s
}
