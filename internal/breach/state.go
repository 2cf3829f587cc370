package breach

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// State is a breach.
type State struct {
	ID         string               `json:"id"`
	Title      string               `json:"title"`
	Severity   int                  `json:"severity" minimum:"0" maximum:"4" doc:"0 is the worst, as of incidents"`
	Principals []string             `json:"principals,omitempty" doc:"identities that are in wrong hands"`
	Incident   string               `json:"incident,omitempty" doc:"the incident that it is led in"`
	Started    time.Time            `json:"started"`
	By         string               `json:"by"`
	Roles      map[string]string    `json:"roles" doc:"who leads, who looks into it, who speaks to others, who writes down"`
	Answers    map[string]string    `json:"answers" doc:"detect, respond and recover: how it was found, what was done, how all was made good"`
	Contained  []Contained          `json:"contained,omitempty"`
	Evidence   []Evidence           `json:"evidence,omitempty"`
	Steps      map[string]time.Time `json:"steps" doc:"what of the recovery checklist is done, and when"`
	NotifyDue  time.Time            `json:"notifyDue,omitzero" doc:"by when those concerned and the authorities have to be told"`
	Notified   []Told               `json:"notified,omitempty"`
	Repairs    []Repair             `json:"repairs,omitempty"`
	Closed     time.Time            `json:"closed,omitzero"`
	Review     string               `json:"review,omitempty" doc:"whether rules were kept, and what follows"`
}

// Contained is one thing that was done to contain it.
type Contained struct {
	What string    `json:"what"`
	At   time.Time `json:"at"`
	By   string    `json:"by"`
}

// Evidence is a state of the record that was kept.
type Evidence struct {
	Events int64     `json:"events"`
	Root   string    `json:"root"`
	At     time.Time `json:"at"`
	By     string    `json:"by"`
}

// Told is somebody who was told.
type Told struct {
	Whom string    `json:"whom"`
	At   time.Time `json:"at"`
	By   string    `json:"by"`
}

// Repair is what has to be mended, so that it does not happen again.
type Repair struct {
	ID       string    `json:"id"`
	Text     string    `json:"text"`
	Owner    string    `json:"owner"`
	Severity int       `json:"severity" minimum:"0" maximum:"4"`
	Due      time.Time `json:"due"`
	Done     time.Time `json:"done,omitzero"`
}

// Roles and questions that a breach has.
var (
	Roles     = []string{"lead", "investigator", "speaker", "scribe"}
	Questions = []string{"detect", "respond", "recover"}
)

// CheckStep is one of the recovery checklist.
type CheckStep struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Checklist is what recovery takes.
var Checklist = []CheckStep{
	{"scope", "what the identity got to is known: ringfence reach, ringfence audit list --actor"},
	{"out", "sessions and tokens of the identity are ended, and who owned it proved who they are"},
	{"secrets", "secrets that it could read are replaced"},
	{"good", "what runs was released by somebody known: ringfence redeploy brings the last good version back"},
	{"record", "the record is whole: ringfence audit verify with a checkpoint from before the breach"},
	{"watch", "it would be noticed if it were tried again"},
}

// within is how long a repair may take, by severity: two sprints for what is minor.
var within = [5]time.Duration{2 * 24 * time.Hour, 7 * 24 * time.Hour, 14 * 24 * time.Hour, 28 * 24 * time.Hour, 28 * 24 * time.Hour}

// Ask is what somebody wants to do with a breach.
type Ask struct {
	Verb      string    `json:"verb" enum:"contain,evidence,answer,role,step,notified,repair,repaired,close"`
	Text      string    `json:"text,omitempty" maxLength:"4000" doc:"the answer, what is to be repaired, whom was told, what was done, the review"`
	Name      string    `json:"name,omitempty" maxLength:"200" doc:"of the question, role, step or repair; of who is contained"`
	Severity  int       `json:"severity,omitempty" minimum:"0" maximum:"4"`
	Owner     string    `json:"owner,omitempty" maxLength:"200"`
	Evidence  *Evidence `json:"evidence,omitempty"`
	Actor     string    `json:"-"`
	Now       time.Time `json:"-"`
	Contained []string  `json:"-"`
}

// Start begins a breach.
func Start(id, title string, severity int, principals []string, notifyWithin time.Duration, actor string, now time.Time) (State, error) {
	if strings.TrimSpace(title) == "" || severity < 0 || severity >= len(within) {
		return State{}, errs.E(errs.Invalid, "a breach needs a title and a severity from 0 to %d", len(within)-1)
	}
	s := State{ID: id, Title: title, Severity: severity, Principals: principals, Started: now, By: actor,
		Roles: map[string]string{"lead": strings.TrimPrefix(actor, "user:")}, Answers: map[string]string{}, Steps: map[string]time.Time{}}
	if notifyWithin > 0 {
		s.NotifyDue = now.Add(notifyWithin)
	}
	return s, nil
}

// Next is s after what was asked, or why that cannot be. The event that tells of it is breach.VERB.
func (s State) Next(a Ask) (State, error) {
	if !s.Closed.IsZero() && a.Verb != "repaired" {
		return s, errs.E(errs.Conflict, "breach %s was closed on %s", s.ID, s.Closed.Format(time.DateTime))
	}
	named := func(all []string) error {
		if !slices.Contains(all, a.Name) || strings.TrimSpace(a.Text) == "" {
			return errs.E(errs.Invalid, "%s: got %q with %d letters, expected one of %s, and a text", a.Verb, a.Name, len(a.Text), strings.Join(all, ", "))
		}
		return nil
	}
	switch a.Verb {
	case "contain":
		for _, what := range a.Contained {
			s.Contained = append(slices.Clone(s.Contained), Contained{What: what, At: a.Now, By: a.Actor})
		}
	case "evidence":
		if a.Evidence == nil {
			return s, errs.E(errs.Invalid, "evidence: expected what was kept")
		}
		e := *a.Evidence
		e.At, e.By = a.Now, a.Actor
		s.Evidence = append(slices.Clone(s.Evidence), e)
	case "answer":
		if err := named(Questions); err != nil {
			return s, err
		}
		s.Answers = with(s.Answers, a.Name, a.Text)
	case "role":
		if err := named(Roles); err != nil {
			return s, err
		}
		s.Roles = with(s.Roles, a.Name, a.Text)
	case "step":
		if !slices.ContainsFunc(Checklist, func(c CheckStep) bool { return c.Name == a.Name }) {
			return s, errs.E(errs.Invalid, "step %q: expected one of the checklist", a.Name)
		}
		s.Steps = with(s.Steps, a.Name, a.Now)
	case "notified":
		if a.Text == "" {
			return s, errs.E(errs.Invalid, "notified: expected whom")
		}
		s.Notified = append(slices.Clone(s.Notified), Told{Whom: a.Text, At: a.Now, By: a.Actor})
	case "repair", "repaired":
		return s.repair(a)
	case "close":
		return s.end(a)
	default:
		return s, errs.E(errs.Invalid, "%q: expected contain, evidence, answer, role, step, notified, repair, repaired or close", a.Verb)
	}
	return s, nil
}

func with[T any](m map[string]T, key string, v T) map[string]T {
	out := map[string]T{key: v}
	for k, old := range m {
		if k != key {
			out[k] = old
		}
	}
	return out
}

func (s State) repair(a Ask) (State, error) {
	s.Repairs = slices.Clone(s.Repairs)
	if a.Verb == "repaired" {
		i := slices.IndexFunc(s.Repairs, func(r Repair) bool { return r.ID == a.Name && r.Done.IsZero() })
		if i < 0 {
			return s, errs.E(errs.Missing, "breach %s has no open repair %q", s.ID, a.Name)
		}
		s.Repairs[i].Done = a.Now
		return s, nil
	}
	if strings.TrimSpace(a.Text) == "" || a.Owner == "" || a.Severity < 0 || a.Severity >= len(within) {
		return s, errs.E(errs.Invalid, "a repair needs a text, an owner and a severity from 0 to %d", len(within)-1)
	}
	s.Repairs = append(s.Repairs, Repair{ID: "r" + strconv.Itoa(len(s.Repairs)+1), Text: a.Text, Owner: a.Owner, Severity: a.Severity, Due: a.Now.Add(within[a.Severity])})
	return s, nil
}

// Left is what is left to do before s can be closed.
func (s State) Left() []string {
	var left []string
	for _, q := range Questions {
		if s.Answers[q] == "" {
			left = append(left, "answer: "+q)
		}
	}
	if len(s.Contained) == 0 {
		left = append(left, "contain")
	}
	if len(s.Evidence) == 0 {
		left = append(left, "keep evidence")
	}
	for _, c := range Checklist {
		if s.Steps[c.Name].IsZero() {
			left = append(left, "step: "+c.Name)
		}
	}
	if !s.NotifyDue.IsZero() && len(s.Notified) == 0 {
		left = append(left, "tell those concerned, by "+s.NotifyDue.UTC().Format("2006-01-02 15:04 UTC"))
	}
	return left
}

func (s State) end(a Ask) (State, error) {
	if left := s.Left(); len(left) > 0 {
		return s, errs.E(errs.Conflict, "breach %s cannot be closed yet; left: %s", s.ID, strings.Join(left, "; "))
	}
	if strings.TrimSpace(a.Text) == "" {
		return s, errs.E(errs.Invalid, "close: expected a review: were rules kept, and what follows?")
	}
	s.Closed, s.Review = a.Now, a.Text
	return s, nil
}

// Overdue are the repairs whose time is over.
func (s State) Overdue(now time.Time) []Repair {
	var out []Repair
	for _, r := range s.Repairs {
		if r.Done.IsZero() && now.After(r.Due) {
			out = append(out, r)
		}
	}
	return out
}
