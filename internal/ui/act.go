package ui

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/rollout"
)

const maxReason = 500

// question is what is asked before something is done.
type question struct {
	Ask, Text string
	Button    string
	Loud      bool
	Must      bool     // a reason has to be given
	Back      string   // the page to return to
	Ring      string   // what is decided on, so that an answer is not taken for another question
	Digest    string   // of what is decided on, as it was seen
	Choose    string   // what is to be chosen of Choices
	Choices   []string // nil when nothing is
	Choice    string
	To        string // where the answer is sent, when that is not the page's own path
	Tick      string // what may be said besides
	Ticked    bool
	Inputs    []input // numbers that may be given
	Silent    bool    // no reason is asked for
}

// input is a field of a question.
type input struct{ Name, Label, Help, Note, Value string }

type confirmPage struct {
	*visit
	question
	Reason  string
	Trouble *trouble
}

// deed is something that a person can do from a page: what is asked first, and what is done then.
type deed struct {
	ask func(r *http.Request, v *visit) (question, error)
	do  func(r *http.Request, v *visit, reason string) error
	may policy.Action // who may; default those who decide
}

// deed serves the question and takes its answer at one path.
func (s *Server) deed(path string, d deed) {
	may := cmp.Or(d.may, policy.Decide)
	s.mux.HandleFunc("GET "+path, s.signed(may, func(w http.ResponseWriter, r *http.Request, v *visit) error {
		q, err := d.ask(r, v)
		if err != nil {
			return err
		}
		v.Title = q.Ask
		return s.show(w, r, http.StatusOK, "confirm", confirmPage{visit: v, question: q})
	}))
	s.mux.HandleFunc("POST "+path, s.signed(may, func(w http.ResponseWriter, r *http.Request, v *visit) error {
		return s.act(w, r, v, d)
	}))
}

// act does what was confirmed. What is refused is shown with the question, and what was typed is kept.
func (s *Server) act(w http.ResponseWriter, r *http.Request, v *visit, d deed) error {
	q, err := d.ask(r, v)
	if err != nil {
		return err
	}
	reason := strings.TrimSpace(r.PostFormValue("reason"))
	if len(reason) > maxReason {
		err = errs.E(errs.Invalid, "the reason has %d bytes, expected at most %d", len(reason), maxReason)
	} else {
		err = d.do(r, v, reason)
	}
	switch {
	case err == nil && v.Onward != "" && fragment(r):
		w.Header().Set("HX-Redirect", v.Onward)
		w.WriteHeader(http.StatusNoContent)
		return nil
	case err == nil && v.Onward != "":
		http.Redirect(w, r, v.Onward, http.StatusSeeOther)
		return nil
	case err == nil && fragment(r):
		w.Header().Set("HX-Trigger", "done")
		w.WriteHeader(http.StatusNoContent)
		return nil
	case err == nil:
		http.Redirect(w, r, q.Back, http.StatusSeeOther)
		return nil
	case errs.Is(err, errs.Internal):
		return err
	}
	t := s.troubleOf(r, err)
	for i, in := range q.Inputs {
		q.Inputs[i].Value = clip(r.PostFormValue(in.Name), 100)
	}
	q.Choice, q.Ticked = clip(r.PostFormValue("choice"), 100), r.PostFormValue("tick") != ""
	v.Title = q.Ask
	s.notice(r.Context(), v)
	return s.show(w, r, t.Status, "confirm", confirmPage{visit: v, question: q, Reason: clip(reason, maxReason), Trouble: &t})
}

// command is a verb of a rollout.
func (s *Server) command(verb rollout.Verb) deed {
	return deed{
		ask: func(r *http.Request, _ *visit) (question, error) {
			state, err := s.Rollouts.Find(r.Context(), r.PathValue("rollout"))
			return questionOf(verb, state), err
		},
		do: func(r *http.Request, v *visit, reason string) error {
			_, err := s.Rollouts.Command(r.Context(), verb, v.Who.Actor(), r.PathValue("rollout"), reason, v.Now)
			return err
		},
	}
}

func questionOf(verb rollout.Verb, s rollout.State) question {
	q, id := question{Back: "/rollouts/" + s.ID}, shortID(s.ID)
	ring := ""
	if s.Ring >= 0 && s.Ring < len(s.Rings) {
		ring = s.Rings[s.Ring].Name
	}
	switch verb {
	case rollout.Pause:
		q.Ask, q.Button = "Pause "+id+"?", "Pause"
		q.Text = "Nothing moves outward until it is resumed. Harm is still taken back."
	case rollout.Resume:
		q.Ask, q.Button = "Resume "+id+"?", "Resume"
		q.Text = "It goes on where it stands."
	case rollout.Promote:
		q.Ask, q.Button = "Promote "+id+" out of ring "+ring+"?", "Promote"
		q.Text = "The rest of this ring’s bake is waived. Every gate must still pass."
	case rollout.Halt:
		q.Ask, q.Button, q.Loud = "Halt "+id+"?", "Halt", true
		q.Text = "It stays where it is, on the record as possibly hurting. Whoever has " + toOf(s) + " keeps it until it is resumed or rolled back."
	case rollout.Abort:
		q.Ask, q.Button, q.Loud = "Abort "+id+"?", "Abort", true
		q.Text = "Everyone who has " + toOf(s) + " is returned to " + fromOf(s) + "."
	case rollout.Rollback:
		q.Ask, q.Button, q.Loud = "Roll "+id+" back?", "Roll back", true
		q.Text = "Everyone is returned to " + fromOf(s) + " as soon as it is ready."
	}
	return q
}

// forward replaces what hurts by another release, straight to the rings that have it.
func (s *Server) forward() deed {
	return deed{
		ask: func(r *http.Request, _ *visit) (question, error) {
			state, err := s.Rollouts.Find(r.Context(), r.PathValue("rollout"))
			if err != nil {
				return question{}, err
			}
			q := question{Ask: "Roll " + state.Service + " forward?", Button: "Roll forward", Loud: true, Must: true, Back: "/rollouts/" + state.Service, Choose: "Version",
				Text: "The rings that have " + state.To + " get this version instead, as soon as it is ready; from there on it goes outward as planned. " + state.ID + " is given up."}
			q.Choices, err = s.forwards(r.Context(), state)
			return q, err
		},
		do: func(r *http.Request, v *visit, reason string) error {
			state, err := s.Rollouts.Find(r.Context(), r.PathValue("rollout"))
			if err != nil {
				return err
			}
			version := strings.TrimSpace(r.PostFormValue("choice"))
			if version == "" {
				return errs.E(errs.Invalid, "version: missing, expected an existing release")
			}
			_, err = s.Rollouts.Release(r.Context(), v.Who.Actor(), rollout.Order{Service: state.Service, Version: version, Lane: rollout.Forward, Why: reason}, v.Now)
			return err
		},
	}
}

// maxForwards is how many of the latest releases can be chosen from.
const maxForwards = 50

// forwards are the releases that could take a rollout's place, newest first.
func (s *Server) forwards(ctx context.Context, state rollout.State) ([]string, error) {
	all, err := s.Catalog.Releases(ctx, state.Service)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, rel := range newestFirst(all) {
		if rel.Version != versionOf(state.To) && rel.Version != versionOf(state.From) && len(out) < maxForwards {
			out = append(out, rel.Version)
		}
	}
	return out, nil
}

// redeploy brings back what was last known good before what everyone has.
func (s *Server) redeploy() deed {
	return deed{
		ask: func(r *http.Request, _ *visit) (question, error) {
			state, err := s.Rollouts.Find(r.Context(), r.PathValue("rollout"))
			if err != nil {
				return question{}, err
			}
			good, err := s.lastGood(r.Context(), state.Service)
			text := "What was last known good goes straight to everyone, past rings, gates and freezes."
			if good != "" {
				text = good + ", which was last known good, goes straight to everyone, past rings, gates and freezes. What it replaces is known to be bad from then on."
			}
			return question{Ask: "Redeploy what was last good of " + state.Service + "?", Button: "Redeploy", Loud: true, Must: true, Back: "/rollouts/" + state.Service, Text: text}, err
		},
		do: func(r *http.Request, v *visit, reason string) error {
			state, err := s.Rollouts.Find(r.Context(), r.PathValue("rollout"))
			if err == nil {
				_, err = s.Decisions.Redeploy(r.Context(), v.Who.Actor(), state.Service, reason, v.Now)
			}
			return err
		},
	}
}

// approve gives, or refuses, the approval that a rollout's next ring waits for.
func (s *Server) approve(refuse bool) deed {
	return deed{
		ask: func(r *http.Request, v *visit) (question, error) {
			state, err := s.Rollouts.Find(r.Context(), r.PathValue("rollout"))
			if err != nil {
				return question{}, err
			}
			a, err := s.askingOf(r.Context(), v, state)
			q := question{Ask: "Approve ring " + a.Ring + " for " + shortID(state.ID) + "?", Button: "Approve", Back: "/rollouts/" + state.ID, Ring: a.Ring, Digest: state.Digest(), Text: a.Evidence}
			if refuse {
				q.Ask, q.Button, q.Loud = "Refuse ring "+a.Ring+" to "+shortID(state.ID)+"?", "Refuse", true
				q.Text = "It is halted where it is. " + a.Evidence
			}
			if ring := r.PostFormValue("ring"); ring != "" {
				q.Ring, q.Digest = ring, clip(r.PostFormValue("digest"), 64)
			}
			return q, err
		},
		do: func(r *http.Request, v *visit, reason string) error {
			_, err := s.Decisions.Consent(r.Context(), v.Who.Actor(), r.PathValue("rollout"), rollout.Consent{Ring: r.PostFormValue("ring"), Digest: clip(r.PostFormValue("digest"), 64), Reason: reason, Refuse: refuse}, v.Now)
			return err
		},
	}
}

// turnLine stops everything outward, or lets it go again.
func (s *Server) turnLine(stop bool) deed {
	return deed{
		ask: func(*http.Request, *visit) (question, error) {
			if !stop {
				return question{Ask: "Lift the line?", Button: "Lift", Back: "/calendar", Text: "Every rollout goes on where it stands. It takes another person than the one who stopped it."}, nil
			}
			return question{Ask: "Stop the line?", Button: "Stop the line", Loud: true, Must: true, Back: "/calendar",
				Text: "No rollout of any service moves outward, until a second person lifts it. Harm is still taken back."}, nil
		},
		do: func(r *http.Request, v *visit, reason string) error {
			_, err := s.Decisions.TurnLine(r.Context(), v.Who.Actor(), reason, stop, v.Now)
			return err
		},
	}
}

// actionsOf are the commands that make sense for a rollout; those that are unsafe now say why.
func (p *rolloutPage) actionsOf(good string, others bool) []action {
	s := p.State
	try := func(verb rollout.Verb, label, key string, loud bool) action {
		a := action{Verb: string(verb), Label: label, Key: key, Loud: loud}
		if _, err := rollout.Command(s, verb, p.Who.Actor(), "", p.Now); err != nil {
			a.Why, a.Key = sentenceCase(err.Error()), ""
		}
		return a
	}
	var all []action
	flying := !s.Phase.Ended()
	if flying && s.Phase != rollout.RollingBack {
		if s.Paused || s.Halted {
			all = append(all, try(rollout.Resume, "Resume", "p", false))
		} else {
			all = append(all, try(rollout.Pause, "Pause", "p", false))
		}
		if !s.Hurried {
			all = append(all, try(rollout.Promote, "Promote", "m", false))
		}
		if !s.Halted {
			all = append(all, try(rollout.Halt, "Halt", "h", true))
		}
	}
	if s.Phase != rollout.RollingBack && s.Phase != rollout.RolledBack && s.Phase != rollout.Superseded {
		all = append(all, try(rollout.Rollback, "Roll back", "b", true))
	}
	if flying {
		all = append(all, forwardOf(s, others))
	}
	re := action{Verb: "redeploy", Label: "Redeploy last good", Key: "r", Loud: true}
	switch {
	case flying:
		re.Key, re.Why = "", "Rollout "+s.ID+" is in flight; roll it back first."
	case good == "":
		re.Key, re.Why = "", "No version before "+stableOf(&s)+" is known to be good."
	default:
		re.Label = "Redeploy " + good
	}
	all = append(all, re)
	slices.SortStableFunc(all, func(a, b action) int { return cmp.Compare(min(len(a.Why), 1), min(len(b.Why), 1)) })
	return all // those that can be done come first
}

func forwardOf(s rollout.State, others bool) action {
	a := action{Verb: "forward", Label: "Roll forward", Key: "f", Loud: true}
	switch {
	case s.Phase == rollout.RollingBack:
		a.Why = "It is being rolled back."
	case s.Ring < 0:
		a.Why = "No ring has it yet, so there is nothing to roll forward from."
	case !others:
		a.Why = "There is no other release to go forward to."
	default:
		return a
	}
	a.Key = ""
	return a
}
