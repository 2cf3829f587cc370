package ui

import (
	"net/http"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/rollout"
)

const maxReason = 500

// question is what is asked before something is done.
type question struct {
	Verb      rollout.Verb
	Ask, Text string
	Button    string
	Loud      bool
}

type confirmPage struct {
	*visit
	question
	State   rollout.State
	Reason  string
	Trouble *trouble
}

func questionOf(verb rollout.Verb, s rollout.State) question {
	q := question{Verb: verb}
	ring := ""
	if s.Ring >= 0 {
		ring = s.Rings[s.Ring].Name
	}
	switch verb {
	case rollout.Pause:
		q.Ask, q.Button = "Pause "+s.ID+"?", "Pause"
		q.Text = "Nothing moves outward until it is resumed. Harm is still taken back."
	case rollout.Resume:
		q.Ask, q.Button = "Resume "+s.ID+"?", "Resume"
		q.Text = "It goes on where it stands."
	case rollout.Promote:
		q.Ask, q.Button = "Promote "+s.ID+" out of ring "+ring+"?", "Promote"
		q.Text = "The rest of this ring’s bake is waived. Every gate must still pass."
	case rollout.Abort:
		q.Ask, q.Button, q.Loud = "Abort "+s.ID+"?", "Abort", true
		q.Text = "Everyone who has " + s.To + " is returned to " + before(s) + "."
	case rollout.Rollback:
		q.Ask, q.Button, q.Loud = "Roll "+s.ID+" back?", "Roll back", true
		q.Text = "Everyone is returned to " + before(s) + " as soon as it is ready."
	}
	return q
}

func (s *Server) confirm(verb rollout.Verb) handler {
	return func(w http.ResponseWriter, r *http.Request, v *visit) error {
		state, err := s.Rollouts.Find(r.Context(), r.PathValue("rollout"))
		if err != nil {
			return err
		}
		p := confirmPage{visit: v, question: questionOf(verb, state), State: state}
		v.Title = p.Ask
		return s.show(w, r, http.StatusOK, "confirm", p)
	}
}

// act does what was confirmed. What is refused is shown with the question, and what was typed is kept.
func (s *Server) act(verb rollout.Verb) handler {
	return func(w http.ResponseWriter, r *http.Request, v *visit) error {
		id, reason := r.PathValue("rollout"), strings.TrimSpace(r.PostFormValue("reason"))
		err := error(nil)
		if len(reason) > maxReason {
			err = errs.E(errs.Invalid, "the reason has %d bytes, expected at most %d", len(reason), maxReason)
		} else {
			_, err = s.Rollouts.Command(r.Context(), verb, v.Who.Actor(), id, reason, v.Now)
		}
		switch {
		case err == nil && fragment(r):
			w.Header().Set("HX-Trigger", "done")
			w.WriteHeader(http.StatusNoContent)
			return nil
		case err == nil:
			http.Redirect(w, r, "/rollouts/"+id, http.StatusSeeOther)
			return nil
		case errs.Is(err, errs.Internal):
			return err
		}
		state, findErr := s.Rollouts.Find(r.Context(), id)
		if findErr != nil {
			return err
		}
		t := s.troubleOf(r, err)
		p := confirmPage{visit: v, question: questionOf(verb, state), State: state, Reason: clip(reason, maxReason), Trouble: &t}
		v.Title = p.Ask
		return s.show(w, r, t.Status, "confirm", p)
	}
}
