package ui

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/responder"
)

// slip is a form with which something is written into an incident: it stands beside what it is for, and by itself at its own path, where
// browsers without scripts are led when something in it is wrong.
type slip struct {
	ID, To, Back string
	Label, Key   string // what opens it
	Ask, Text    string
	Button       string
	Fields       []slipField
	Said         bool   // something stands already, which the form changes
	Seen         string // what stood there when the form was made
	Form         string
	People       []string // who could be named
	Trouble      *trouble

	ask func(e *slip, changed map[string]bool) (incident.Ask, error)
}

// slipField is one field of a slip.
type slipField struct {
	ID, Name, Label, Help string
	Kind                  string // line, words, time, date, choice or person
	Value, Problem        string
	Options               []slipOption
	Max                   int
	Must                  bool
}

// slipOption is one of a choice.
type slipOption struct{ Value, Text string }

type slipPage struct {
	*visit
	E slip
}

const (
	fieldTime = "2006-01-02T15:04:05"
	maxWords  = 4000
	maxLine   = 1000
	maxName   = 200
)

// value is what a field has now.
func (e *slip) value(name string) string {
	for _, f := range e.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// time is what a field of a time or date has now; read has seen to it that it is one.
func (e *slip) time(name string) time.Time {
	for _, layout := range []string{fieldTime, time.DateOnly} {
		if t, err := time.Parse(layout, e.value(name)); err == nil {
			return t
		}
	}
	return time.Time{}
}

// finish gives the slip its fields' ids and notes what stands in them.
func (e *slip) finish(v *visit, id string) slip {
	e.Back, e.To, e.Form = "/incidents/"+id, "/incidents/"+id+"/"+e.To, v.Form
	seen := ""
	for i := range e.Fields {
		f := &e.Fields[i]
		f.ID = e.ID + "-" + f.Name
		if e.Said {
			seen += f.Value + "\x00"
		}
	}
	e.Seen = digestOf(seen)
	return *e
}

// slipOf makes the form at a path; every path of a slip has one.
type slipOf func(r *http.Request, v *visit, view responder.View) (slip, error)

// enter serves a slip and takes it.
func (s *Server) enter(path string, of slipOf) {
	begin := func(r *http.Request, v *visit) (slip, error) {
		view, err := s.Incidents.View(r.Context(), r.PathValue("incident"))
		if err != nil {
			return slip{}, err
		}
		e, err := of(r, v, view)
		if err == nil {
			e.People, err = s.namesOf(r.Context(), v)
		}
		v.Title = e.Ask
		return e, err
	}
	s.mux.HandleFunc("GET "+path, s.signed(policy.Decide, func(w http.ResponseWriter, r *http.Request, v *visit) error {
		e, err := begin(r, v)
		if err != nil {
			return err
		}
		return s.show(w, r, http.StatusOK, "entry", slipPage{v, e})
	}))
	s.mux.HandleFunc("POST "+path, s.signed(policy.Decide, func(w http.ResponseWriter, r *http.Request, v *visit) error {
		e, err := begin(r, v)
		if err != nil {
			return err
		}
		err = s.write(r, v, &e)
		switch {
		case errs.Is(err, errs.Internal):
			return err
		case err != nil:
			t := s.troubleOf(r, err)
			e.Trouble = &t
			s.notice(r.Context(), v)
			return s.show(w, r, t.Status, "entry", slipPage{v, e})
		case fragment(r):
			w.Header().Set("HX-Trigger", "done")
			w.WriteHeader(http.StatusNoContent)
		default:
			http.Redirect(w, r, e.Back, http.StatusSeeOther)
		}
		return nil
	}))
}

// write does what a slip asks for. What somebody else wrote since the form was made is not written over unseen; what stands there already,
// as after a form that was sent twice, is fine.
func (s *Server) write(r *http.Request, v *visit, e *slip) error {
	changed, fine := e.read(r, v.Now)
	seen := r.PostFormValue("seen")
	stale := seen != "" && seen != e.Seen
	switch {
	case !fine:
		return errs.E(errs.Invalid, "something cannot be understood").Next("Put right what is marked, and send it again.")
	case len(changed) == 0 && stale:
		return nil
	case len(changed) == 0 && e.Said:
		return errs.E(errs.Invalid, "nothing is changed").Next("Change what is not right, or close the form.")
	case stale:
		return errs.E(errs.Conflict, "somebody else has written here meanwhile").Next("Load the page again to see theirs, or send yours again to put it in its place.")
	}
	a, err := e.ask(e, changed)
	if err != nil {
		return err
	}
	a.Actor = v.Who.Actor()
	_, err = s.Incidents.Do(r.Context(), r.PathValue("incident"), a)
	return err
}

// read takes the fields that were sent, and says which are other than what stands in the incident, and whether all can be understood.
func (e *slip) read(r *http.Request, now time.Time) (map[string]bool, bool) {
	changed, fine := map[string]bool{}, true
	for i := range e.Fields {
		f := &e.Fields[i]
		sent, there := r.PostForm[f.Name]
		if !there {
			continue
		}
		typed := strings.TrimSpace(strings.ReplaceAll(strings.Join(sent, ""), "\r\n", "\n"))
		value, err := f.understood(typed, now)
		if err == nil && value == "" && (f.Value != "" || f.Must) && f.Kind != "choice" {
			err = errs.E(errs.Invalid, "it is missing")
			if f.Value != "" {
				err = errs.E(errs.Invalid, "it can be changed, but not taken away")
			}
		}
		if err != nil {
			f.Problem, f.Value, fine = sentenceCase(err.Error()), clip(typed, maxWords), false
			continue
		}
		if value != f.Value {
			f.Value, changed[f.Name] = value, true
		}
	}
	return changed, fine
}

// understood is a field as it would stand there.
func (f *slipField) understood(s string, now time.Time) (string, error) {
	if f.Max > 0 && len(s) > f.Max {
		return "", errs.E(errs.Invalid, "it has %d bytes, expected at most %d", len(s), f.Max)
	}
	switch {
	case s == "":
	case f.Kind == "time":
		t, err := momentOf(s, now)
		return t.Format(fieldTime), err
	case f.Kind == "date":
		t, err := time.Parse(time.DateOnly, s)
		if err != nil {
			return "", errs.E(errs.Invalid, "got %.40q, expected a date such as %s", s, now.AddDate(0, 0, 7).Format(time.DateOnly))
		}
		return t.Format(time.DateOnly), nil
	case f.Kind == "choice" && !slices.ContainsFunc(f.Options, func(o slipOption) bool { return o.Value == s }):
		return "", errs.E(errs.Invalid, "%.100q is none of these", s)
	}
	return s, nil
}

// momentOf is a time as it is typed: UTC, or a duration ago.
func momentOf(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(strings.ReplaceAll(s, " ", "")); err == nil && d >= 0 {
		return now.Add(-d).UTC().Truncate(time.Second), nil
	}
	for _, layout := range []string{fieldTime, "2006-01-02T15:04", time.DateTime, "2006-01-02 15:04", time.RFC3339} {
		if t, err := time.Parse(layout, strings.TrimSuffix(s, " UTC")); err == nil {
			return t.UTC().Truncate(time.Second), nil
		}
	}
	return time.Time{}, errs.E(errs.Invalid, "got %.40q, expected a time in UTC such as %s, or how long ago, such as 20m", s, now.UTC().Format(time.DateTime))
}

// atOf is a time as it stands in a field.
func atOf(t time.Time, layout string) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(layout)
}

// say is what opens a slip, by whether something stands there.
func say(said bool, first string) string {
	if said {
		return "Change"
	}
	return first
}

// impactSlip says when users were hurt, and what they noticed.
func impactSlip(_ *http.Request, v *visit, view responder.View) (slip, error) {
	st := view.Incident
	i := st.Impact
	e := slip{ID: "impact", To: "impact", Key: "i", Label: say(!i.Start.IsZero() && !i.End.IsZero(), "Say when"), Ask: "When were users hurt?", Button: "Write it down",
		Text: "What a person says goes before what the data says. Only what is changed is taken.", Said: i != incident.Impact{},
		Fields: []slipField{{Name: "start", Label: "The first bad event, UTC", Kind: "time", Value: atOf(i.Start, fieldTime)}, {Name: "end", Label: "The last one, UTC", Kind: "time", Value: atOf(i.End, fieldTime)},
			{Name: "noticed", Label: "What users noticed", Kind: "line", Help: view.Impact, Value: i.Text, Max: maxLine}},
		ask: func(e *slip, changed map[string]bool) (incident.Ask, error) {
			said := incident.Impact{Source: "person"}
			if changed["start"] {
				said.Start = e.time("start")
			}
			if changed["end"] {
				said.End = e.time("end")
			}
			if changed["noticed"] {
				said.Text = e.value("noticed")
			}
			if len(changed) == 0 {
				return incident.Ask{}, errs.E(errs.Invalid, "nothing is said yet").Next("Say when it began, when it was over, or what users noticed.")
			}
			return incident.Ask{Verb: incident.Measure, Impact: &said}, nil
		}}
	return e.finish(v, st.ID), nil
}

const (
	causeOther   = "other"
	causeUnknown = "unknown"
)

// causeSlip confirms what it was.
func causeSlip(_ *http.Request, v *visit, view responder.View) (slip, error) {
	st := view.Incident
	was, text := "", ""
	if c := st.Cause; c != nil {
		was, text = c.Ref, c.Text
		switch {
		case c.Unknown:
			was = causeUnknown
		case was == "":
			was = causeOther
		}
	}
	var options []slipOption
	for _, c := range view.Causes.Candidates {
		if c.Kind != incident.Other {
			options = append(options, slipOption{c.Ref, c.Title + ", " + incident.Odds(c.Share)})
		}
	}
	options = append(options, slipOption{causeOther, "something else, which the sentence says"}, slipOption{causeUnknown, "unknown; the sentence says what was looked at"})
	if was != "" && !slices.ContainsFunc(options, func(o slipOption) bool { return o.Value == was }) {
		options = append([]slipOption{{was, was}}, options...)
	}
	if was == "" {
		was = options[0].Value
	}
	e := slip{ID: "cause", To: "cause", Key: "c", Label: say(st.Cause != nil, "Name the cause"), Ask: "What was the cause?", Button: "Confirm", Said: st.Cause != nil,
		Text:   "It stands in the postmortem, with where the ranking had it.",
		Fields: []slipField{{Name: "choice", Label: "Cause", Kind: "choice", Options: options, Value: was}, {Name: "text", Label: "In a sentence", Kind: "line", Help: "needed when it is none of the list", Value: text, Max: maxLine}},
		ask: func(e *slip, changed map[string]bool) (incident.Ask, error) {
			c := incident.Cause{Ref: e.value("choice"), Text: e.value("text")}
			if changed["choice"] && !changed["text"] && st.Cause != nil {
				c.Text = "" // it was the sentence of the other cause
			}
			switch c.Ref {
			case causeOther:
				c.Ref = ""
			case causeUnknown:
				c.Ref, c.Unknown = "", true
			}
			if c.Ref == "" && c.Text == "" {
				return incident.Ask{}, errs.E(errs.Invalid, "the sentence is missing").Next("Say what it was; when it is unknown, say what was looked at.")
			}
			return incident.Ask{Verb: incident.Blame, Cause: &c}, nil
		}}
	return e.finish(v, st.ID), nil
}

// learnSlip writes what only people know into the postmortem.
func learnSlip(_ *http.Request, v *visit, view responder.View) (slip, error) {
	st := view.Incident
	var l incident.Learned
	if st.Learned != nil {
		l = *st.Learned
	}
	e := slip{ID: "learn", To: "learn", Key: "w", Label: say(st.Learned != nil, "Write it"), Ask: "What is to be learned?", Button: "Write it down", Said: st.Learned != nil,
		Text: "Everything else in the postmortem is from the record. A line that begins with a hyphen is an item of a list.",
		Fields: []slipField{{Name: "well", Label: "What went well", Kind: "words", Value: l.Well, Max: maxWords}, {Name: "badly", Label: "What did not", Kind: "words", Value: l.Badly, Max: maxWords},
			{Name: "lucky", Label: "Where luck helped", Kind: "words", Value: l.Lucky, Max: maxWords}},
		ask: func(e *slip, _ map[string]bool) (incident.Ask, error) {
			if e.value("well")+e.value("badly")+e.value("lucky") == "" {
				return incident.Ask{}, errs.E(errs.Invalid, "nothing is said yet").Next("Write at least one of the three.")
			}
			return incident.Ask{Verb: incident.Learn, Learned: &incident.Learned{Well: e.value("well"), Badly: e.value("badly"), Lucky: e.value("lucky")}}, nil
		}}
	return e.finish(v, st.ID), nil
}

// actionSlip adds an action item, or changes the one of the path.
func actionSlip(r *http.Request, v *visit, view responder.View) (slip, error) {
	n := 0
	if text := r.PathValue("item"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 {
			return slip{}, errs.E(errs.Missing, "%s has no action item %.20q", view.Incident.ID, text)
		}
	}
	return itemSlip(v, view.Incident, n)
}

// itemSlip is of action item n, or of a new one when n is 0.
func itemSlip(v *visit, st incident.State, n int) (slip, error) {
	var a incident.Action
	e := slip{ID: "action", To: "action", Label: "Add an action item", Ask: "What is to be done?", Button: "Add it", Text: "So that it does not happen again. Its owner is reminded once a day when it is overdue."}
	if n > 0 {
		i := slices.IndexFunc(st.Actions, func(a incident.Action) bool { return a.Number == n })
		if i < 0 {
			return slip{}, errs.E(errs.Missing, "%s has no action item %d", st.ID, n)
		}
		a = st.Actions[i]
		e.ID, e.To = fmt.Sprint("action-", n), fmt.Sprint("action/", n)
		e.Label, e.Ask, e.Button, e.Said, e.Text = "Change", fmt.Sprintf("Change action item %d", n), "Change it", true, ""
	}
	e.Fields = []slipField{{Name: "what", Label: "What", Kind: "line", Value: a.Text, Max: maxLine, Must: true}, {Name: "owner", Label: "Owner", Kind: "person", Help: "who does it", Value: a.Owner, Max: maxName},
		{Name: "due", Label: "Due", Kind: "date", Value: atOf(a.Due, time.DateOnly)}}
	e.ask = func(e *slip, _ map[string]bool) (incident.Ask, error) {
		return incident.Ask{Verb: incident.Act, Action: &incident.Action{Number: n, Text: e.value("what"), Owner: e.value("owner"), Due: e.time("due")}}, nil
	}
	return e.finish(v, st.ID), nil
}

// doneAction ticks an action item off.
func (s *Server) doneAction() deed {
	return deed{
		ask: func(r *http.Request, v *visit) (question, error) {
			view, err := s.Incidents.View(r.Context(), r.PathValue("incident"))
			if err != nil {
				return question{}, err
			}
			e, err := actionSlip(r, v, view)
			return question{Ask: "Is it done?", Text: e.value("what"), Button: "It is done", Silent: true, Back: e.Back}, err
		},
		do: func(r *http.Request, v *visit, _ string) error {
			n, err := strconv.Atoi(r.PathValue("item"))
			if err == nil {
				_, err = s.Incidents.Do(r.Context(), r.PathValue("incident"), incident.Ask{Verb: incident.Act, Actor: v.Who.Actor(), Action: &incident.Action{Number: n, Done: v.Now}})
			}
			return err
		},
	}
}

// namesOf are people who could own something: the visitor, and those who take turns.
func (s *Server) namesOf(ctx context.Context, v *visit) ([]string, error) {
	names := []string{v.Who.Name}
	turns, err := s.Incidents.OnCall(ctx, "", 14*24*time.Hour)
	for _, o := range turns {
		for _, sh := range slices.Concat(o.Now, o.Shifts) {
			if sh.Person != "" && !slices.Contains(names, sh.Person) {
				names = append(names, sh.Person)
			}
		}
	}
	slices.Sort(names)
	return names, err
}
