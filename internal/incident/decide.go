package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// Verb is what somebody asks of an incident.
type Verb string

// The verbs.
const (
	Ack      Verb = "ack"
	Note     Verb = "note"
	Rate     Verb = "rate"     // severity, commander, title
	Measure  Verb = "impact"   // when users were hurt, and what they noticed
	Blame    Verb = "cause"    // what it was, or that this is unknown
	Update   Verb = "update"   // tell everyone
	Mitigate Verb = "mitigate" // users are not hurt any more
	Resolve  Verb = "resolve"
	Reopen   Verb = "reopen"
	Learn    Verb = "learn"
	Act      Verb = "action"
	Close    Verb = "close"
)

// Verbs lists all verbs.
var Verbs = []Verb{Ack, Note, Rate, Measure, Blame, Update, Mitigate, Resolve, Reopen, Learn, Act, Close}

// Ask is a verb with what it needs.
type Ask struct {
	Verb      Verb
	Actor     string
	Text      string
	At        time.Time // when it was so; zero for now
	Severity  *int
	Commander string
	Title     string
	Impact    *Impact
	Cause     *Cause
	Learned   *Learned
	Action    *Action
}

const maxText = 4000

// Decide turns what is asked into events, or says why it cannot be. Asking for what is already so gives no events and no
// error, so that a retry is harmless.
func Decide(s State, a Ask, now time.Time) ([]Event, error) {
	if len(a.Text) > maxText || len(a.Title) > 200 || len(a.Commander) > 200 {
		return nil, errs.E(errs.Invalid, "the text has %d bytes, expected at most %d", max(len(a.Text), len(a.Title), len(a.Commander)), maxText)
	}
	if s.Phase == Closed && !slices.Contains([]Verb{Close, Act, Reopen, Note, Learn}, a.Verb) {
		return nil, errs.E(errs.Conflict, "%s is closed", s.ID).Next("if it came back, reopen it: ringfence incident reopen %s", s.ID)
	}
	e := Event{Time: now, Actor: a.Actor, Text: strings.TrimSpace(a.Text), At: a.At, Service: s.Service, Phase: s.Phase}
	if a.At.After(now) {
		return nil, errs.E(errs.Invalid, "%s is yet to come, expected a time until now", a.At.UTC().Format(time.RFC3339))
	}
	switch a.Verb {
	case Ack:
		return s.ack(e)
	case Note, Update:
		return s.say(a.Verb, e)
	case Rate:
		return s.rating(a, e)
	case Measure:
		return s.measure(a, e)
	case Blame:
		return s.blame(a, e)
	case Mitigate:
		return s.mitigate(a, e)
	case Resolve:
		return s.resolve(a, e)
	case Reopen:
		if s.Live() {
			return nil, nil
		}
		e.Type, e.Phase = EvReopened, Open
		return []Event{e}, nil
	case Learn:
		return s.learn(a, e)
	case Act:
		return s.action(a, e)
	case Close:
		return s.close(e)
	}
	return nil, errs.E(errs.Invalid, "unknown command %q, expected one of %v", a.Verb, Verbs)
}

func (s State) ack(e Event) ([]Event, error) {
	if s.Phase != Open {
		return nil, nil
	}
	e.Type, e.Phase = EvAcked, Acknowledged
	return []Event{e}, nil
}

func (s State) say(v Verb, e Event) ([]Event, error) {
	if e.Text == "" {
		return nil, errs.E(errs.Invalid, "the text is missing")
	}
	e.Type = EvNoted
	if v == Update {
		e.Type, e.To = EvUpdated, []string{"*"}
	}
	return []Event{e}, nil
}

func (s State) rating(a Ask, e Event) ([]Event, error) {
	if a.Severity != nil && (*a.Severity < 0 || *a.Severity > MaxSeverity) {
		return nil, errs.E(errs.Invalid, "severity %d: expected 0 to %d", *a.Severity, MaxSeverity)
	}
	if (a.Severity == nil || *a.Severity == s.Severity) && (a.Commander == "" || a.Commander == s.Commander) && (a.Title == "" || a.Title == s.Title) {
		return nil, nil
	}
	e.Type, e.Severity, e.Commander, e.Title = EvRated, a.Severity, a.Commander, a.Title
	return []Event{e}, nil
}

func (s State) measure(a Ask, e Event) ([]Event, error) {
	if a.Impact == nil {
		return nil, errs.E(errs.Invalid, "impact: expected a start, an end or a text")
	}
	m := merged(s.Impact, *a.Impact)
	if m == s.Impact {
		return nil, nil
	}
	switch {
	case m.Start.After(e.Time) || m.End.After(e.Time):
		return nil, errs.E(errs.Invalid, "impact: expected times until now")
	case !m.End.IsZero() && m.End.Before(m.Start):
		return nil, errs.E(errs.Invalid, "impact: it ends at %s, before it starts at %s", m.End.Format(time.RFC3339), m.Start.Format(time.RFC3339))
	}
	e.Type, e.Impact = EvImpact, a.Impact
	return []Event{e}, nil
}

func (s State) blame(a Ask, e Event) ([]Event, error) {
	if a.Cause == nil || strings.TrimSpace(a.Cause.Text) == "" && a.Cause.Ref == "" && !a.Cause.Unknown {
		return nil, errs.E(errs.Invalid, "cause: expected what it was, or that it is unknown and what was looked at")
	}
	if a.Cause.Unknown && strings.TrimSpace(a.Cause.Text) == "" {
		return nil, errs.E(errs.Invalid, "cause: it is named unknown; say what was looked at")
	}
	c := *a.Cause
	c.By, c.At = e.Actor, e.Time
	e.Type, e.Cause = EvCause, &c
	return []Event{e}, nil
}

func (s State) mitigate(a Ask, e Event) ([]Event, error) {
	if !s.Live() {
		return nil, nil
	}
	if !a.At.IsZero() && !s.Impact.Start.IsZero() && a.At.Before(s.Impact.Start) {
		return nil, errs.E(errs.Invalid, "it began at %s, expected a later time", s.Impact.Start.UTC().Format(time.RFC3339))
	}
	var all []Event
	if s.Phase == Open {
		ack := e
		ack.Type, ack.Phase, ack.Text, ack.At = EvAcked, Acknowledged, "", time.Time{}
		all = append(all, ack)
	}
	e.Type, e.Phase, e.Impact = EvMitigated, Mitigated, nil
	all = append(all, e)
	if a.Impact != nil {
		m := e
		m.Type, m.Impact, m.Text, m.At = EvImpact, a.Impact, "", time.Time{}
		all = append(all, m)
	}
	return all, nil
}

func (s State) resolve(a Ask, e Event) ([]Event, error) {
	switch {
	case !s.Phase.Before(Resolved):
		return nil, nil
	case s.Live():
		return nil, errs.E(errs.Conflict, "%s is not mitigated: users are being hurt", s.ID).Next("take it back, then say so: ringfence incident mitigate %s", s.ID)
	case s.Impact.End.IsZero() && (a.Impact == nil || a.Impact.End.IsZero()):
		return nil, errs.E(errs.Conflict, "it is not known when users of %s were hurt last", s.ID).Next("say it: ringfence incident resolve %s --impact-end 2026-01-02T15:04:05Z", s.ID)
	case len(s.Firing()) > 0 && a.Text == "": // a burn rate remembers its window, longer than users hurt
		return nil, errs.E(errs.Conflict, "alert %s of %s still fires", s.Firing()[0], s.ID).Next("wait until it is over, or say why that does not matter: ringfence incident resolve %s --reason …", s.ID)
	}
	var all []Event
	if a.Impact != nil {
		m := e
		m.Type, m.Impact, m.Text, m.At = EvImpact, a.Impact, "", time.Time{}
		all = append(all, m)
	}
	e.Type, e.Phase = EvResolved, Resolved
	t := Fold(FoldAll(s, all), e).Times()
	e.Times = &t
	return append(all, e), nil
}

func (s State) learn(a Ask, e Event) ([]Event, error) {
	if a.Learned == nil || strings.TrimSpace(a.Learned.Well+a.Learned.Badly+a.Learned.Lucky) == "" {
		return nil, errs.E(errs.Invalid, "postmortem: expected what went well, what did not, or where luck helped")
	}
	if n := len(a.Learned.Well) + len(a.Learned.Badly) + len(a.Learned.Lucky); n > 5*maxText {
		return nil, errs.E(errs.Invalid, "postmortem: %d bytes, expected at most %d", n, 5*maxText)
	}
	l := *a.Learned
	if was := s.Learned; was != nil { // what is not said again stays
		if l.Well == "" {
			l.Well = was.Well
		}
		if l.Badly == "" {
			l.Badly = was.Badly
		}
		if l.Lucky == "" {
			l.Lucky = was.Lucky
		}
		if l.Well == was.Well && l.Badly == was.Badly && l.Lucky == was.Lucky {
			return nil, nil
		}
	}
	l.By, l.At = e.Actor, e.Time
	e.Type, e.Learned = EvLearned, &l
	return []Event{e}, nil
}

const maxActions = 100

func (s State) action(a Ask, e Event) ([]Event, error) {
	if a.Action == nil {
		return nil, errs.E(errs.Invalid, "action item: missing")
	}
	next := *a.Action
	i := slices.IndexFunc(s.Actions, func(o Action) bool { return o.Number == next.Number })
	switch {
	case next.Number != 0 && i < 0:
		return nil, errs.E(errs.Missing, "%s has no action item %d", s.ID, next.Number)
	case i >= 0:
		was := s.Actions[i]
		done := !next.Done.IsZero()
		if next.Text == "" {
			next.Text = was.Text
		}
		if next.Owner == "" {
			next.Owner = was.Owner
		}
		if next.Due.IsZero() {
			next.Due = was.Due
		}
		next.Made, next.Reminded, next.Done, next.DoneBy = was.Made, was.Reminded, was.Done, was.DoneBy
		if done && was.Done.IsZero() {
			next.Done, next.DoneBy = e.Time, e.Actor
		}
		if next == was {
			return nil, nil
		}
	case slices.ContainsFunc(s.Actions, func(o Action) bool {
		return o.Done.IsZero() && o.Text == next.Text && o.Owner == next.Owner && o.Due.Equal(next.Due)
	}):
		return nil, nil // it was sent twice
	case len(s.Actions) >= maxActions:
		return nil, errs.E(errs.Invalid, "%s has %d action items, expected at most that many", s.ID, maxActions)
	default:
		next.Number, next.Made = len(s.Actions)+1, e.Time
	}
	if strings.TrimSpace(next.Text) == "" || len(next.Text) > maxText || len(next.Owner) > 200 {
		return nil, errs.E(errs.Invalid, "action item: expected a text of at most %d bytes", maxText)
	}
	e.Type, e.Action, e.Text = EvAction, &next, next.Text
	return []Event{e}, nil
}

func (s State) close(e Event) ([]Event, error) {
	if s.Phase == Closed {
		return nil, nil
	}
	var left []string
	for _, it := range s.Checklist() {
		if !it.Done {
			left = append(left, it.Text)
		}
	}
	if len(left) > 0 {
		err := errs.E(errs.Conflict, "%s cannot be closed: %s", s.ID, strings.Join(left, "; "))
		return nil, err.Next("see what is left and how: ringfence incident show %s", s.ID)
	}
	e.Type, e.Phase = EvClosed, Closed
	return []Event{e}, nil
}

// Item is one thing that has to be so before an incident is closed.
type Item struct {
	Done bool   `json:"done"`
	Text string `json:"text" doc:"what is wanted"`
	How  string `json:"how,omitempty" doc:"a command that does it"`
	Verb Verb   `json:"verb,omitempty" doc:"what is asked of the incident for it"`
}

// WantsPostmortem reports whether a severity wants a postmortem.
func WantsPostmortem(severity int) bool { return severity <= 2 }

// Checklist is what has to be so before the incident is closed.
func (s State) Checklist() []Item {
	cmd := func(format string, args ...any) string {
		return "ringfence incident " + fmt.Sprintf(format, args...)
	}
	list := []Item{
		{!s.Live(), "it is mitigated", cmd("mitigate %s", s.ID), Mitigate},
		{!s.Impact.Start.IsZero() && !s.Impact.End.IsZero(), "start and end of the impact are known", cmd("impact %s --start … --end …", s.ID), Measure},
		{s.Cause != nil, "the cause is confirmed, or named unknown", cmd("cause %s …", s.ID), Blame},
		{!s.Phase.Before(Resolved), "it is resolved", cmd("resolve %s", s.ID), Resolve},
	}
	if WantsPostmortem(s.Severity) {
		list = append(list, Item{s.Learned != nil, fmt.Sprintf("severity %d wants a postmortem: what went well and what did not", s.Severity), cmd("postmortem %s --well … --badly …", s.ID), Learn},
			Item{len(s.Actions) > 0, "there is an action item", cmd("action add %s … --owner … --due …", s.ID), Act})
	}
	var without []string
	for _, a := range s.Actions {
		if a.Done.IsZero() && (a.Owner == "" || a.Due.IsZero()) {
			without = append(without, fmt.Sprint(a.Number))
		}
	}
	text := "every open action item has an owner and a date"
	if len(without) > 0 {
		text += " (not so: " + strings.Join(without, ", ") + ")"
	}
	return append(list, Item{len(without) == 0, text, cmd("action edit %s NUMBER --owner … --due …", s.ID), Act})
}
