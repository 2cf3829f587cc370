package ui

import (
	"net/http"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/switchboard"
)

// flagQuestion begins a question about a flag.
func (s *Server) flagQuestion(r *http.Request, v *visit, verb string) (switchboard.View, question, error) {
	subject := subjectOf(r)
	view, err := s.Board.Flag(r.Context(), subject, v.Now)
	return view, question{Back: flagURL(subject, ""), To: flagURL(subject, verb)}, err
}

// called is a flag as questions name it.
func called(v switchboard.View) string {
	if v.Environment == flag.Production {
		return v.Key
	}
	return v.Key + " in " + v.Environment
}

// expose begins to bring a variant to users.
func (s *Server) expose() deed {
	return deed{
		ask: func(r *http.Request, v *visit) (question, error) {
			f, q, err := s.flagQuestion(r, v, "expose")
			if err != nil {
				return q, err
			}
			if f.Exposure == nil {
				return q, errs.E(errs.Conflict, "flag %s/%s is not exposed by rings", f.Set, f.Key).Next("give it an exposure with a plan and a variant first")
			}
			q.Ask, q.Button, q.Choose, q.Choice = "Bring a variant of "+called(f)+" to users?", "Begin", "Variant", f.Exposure.Variant
			q.Text = "It goes through the rings of plan " + f.Exposure.Plan + ", one after the other"
			if f.Exposure.Ring != "" {
				q.Text += ", up to ring " + f.Exposure.Ring
			}
			q.Text += "."
			if f.Exposure.Control > 0 {
				q.Text += " Of the ring in trial " + percent(f.Exposure.Control/100) + " of the users go without it, and both are compared; when it hurts, everyone goes back by itself."
			}
			q.Tick = "also when it was taken back before (give a reason)"
			has := f.Everyone
			if has == "" {
				has = f.Default
			}
			for _, x := range f.Variants {
				if x.Name != has {
					q.Choices = append(q.Choices, x.Name)
				}
			}
			if q.Choice == has {
				q.Choice = ""
			}
			return q, nil
		},
		do: func(r *http.Request, v *visit, reason string) error {
			_, err := s.Board.Expose(r.Context(), v.Who.Actor(), rollout.Order{Service: subjectOf(r).String(), Version: strings.TrimSpace(r.PostFormValue("choice")),
				Force: r.PostFormValue("tick") != "", Why: reason}, v.Now)
			return err
		},
	}
}

// switchOff takes a variant back from everyone.
func (s *Server) switchOff() deed {
	return deed{
		ask: func(r *http.Request, v *visit) (question, error) {
			f, q, err := s.flagQuestion(r, v, "off")
			if err != nil {
				return q, err
			}
			q.Ask, q.Button, q.Loud, q.Must = "Switch off "+called(f)+"?", "Switch off", true, true
			switch {
			case flying(f.Rollout):
				q.Text = "Its rollout is rolled back: everyone goes back to " + thing(f.Subject, f.Rollout.From) + " at once."
			case f.Everyone != "":
				q.Text = "Everyone goes back from " + thing(f.Subject, f.Everyone) + " to what the flag gave before it, at once."
			default:
				q.Text = "It is disabled: whoever asks uses their own default, at once."
			}
			q.Text += " No review, freeze or stopped line holds that up."
			return q, nil
		},
		do: func(r *http.Request, v *visit, reason string) error {
			_, err := s.Board.Off(r.Context(), v.Who.Actor(), subjectOf(r), reason, v.Now)
			return err
		},
	}
}

// waitsForReview is said where an edit may have to wait.
const waitsForReview = " Where reviewers are asked about what changes, it becomes a change request and waits for them."

func (s *Server) setState(enabled bool) deed {
	d := deed{
		ask: func(r *http.Request, v *visit) (question, error) {
			if enabled {
				f, q, err := s.flagQuestion(r, v, "enable")
				q.Ask, q.Button = "Enable "+called(f)+"?", "Enable"
				q.Text = "It answers by its definition again." + waitsForReview
				return q, err
			}
			f, q, err := s.flagQuestion(r, v, "disable")
			q.Ask, q.Button, q.Loud = "Disable "+called(f)+"?", "Disable", true
			q.Text = "Whoever asks uses their own default, at once, also those who got a variant by its rollout."
			return q, err
		},
		do: func(r *http.Request, v *visit, reason string) error {
			out, err := s.Board.State(r.Context(), v.Who.Actor(), subjectOf(r), enabled, reason, v.Now)
			return onward(v, out, err)
		},
	}
	if enabled {
		d.may = policy.Change
	}
	return d
}

// onward leads to the change request that an edit became.
func onward(v *visit, out switchboard.Edited, err error) error {
	if err == nil && out.Request != nil {
		v.Onward = "/change-requests#" + out.Request.ID
	}
	return err
}

func (s *Server) setArchived(archived bool) deed {
	return deed{
		may: policy.Change,
		ask: func(r *http.Request, v *visit) (question, error) {
			if archived {
				f, q, err := s.flagQuestion(r, v, "archive")
				q.Ask, q.Button, q.Loud = "Archive "+f.Key+"?", "Archive", true
				q.Text = "It answers as if it were disabled, in every environment, and is kept." + waitsForReview
				return q, err
			}
			f, q, err := s.flagQuestion(r, v, "restore")
			q.Ask, q.Button = "Take "+f.Key+" out of the archive?", "Take it out"
			q.Text = "It answers by its definition again." + waitsForReview
			return q, err
		},
		do: func(r *http.Request, v *visit, reason string) error {
			patch, subject := map[string]any{"archived": true}, subjectOf(r)
			if !archived {
				patch["archived"] = nil
			}
			if _, err := s.Board.Flag(r.Context(), subject, v.Now); err != nil {
				return err
			}
			out, err := s.Board.EditFlag(r.Context(), v.Who.Actor(), subject.Set, subject.Key, patch, reason, v.Now)
			return onward(v, out, err)
		},
	}
}

// undoFlag takes the last change of a flag's definition back.
func (s *Server) undoFlag() deed {
	return deed{
		may: policy.Change,
		ask: func(r *http.Request, v *visit) (question, error) {
			f, q, err := s.flagQuestion(r, v, "undo")
			if err != nil {
				return q, err
			}
			all, err := s.flagHistory(r.Context(), subjectOf(r))
			if err != nil {
				return q, err
			}
			i := slices.IndexFunc(all, func(h historyEntry) bool { return h.Undoable })
			if i < 0 {
				return q, errs.E(errs.Conflict, "there is no change of %s/%s to take back", f.Set, f.Key)
			}
			q.Ask, q.Button = "Undo the last change of "+f.Key+"?", "Undo"
			q.Text = "What " + all[i].By + " changed " + ago(all[i].Time, v.Now) + " is taken back: " + fieldsOf(all[i].Diff) + "." + waitsForReview
			return q, nil
		},
		do: func(r *http.Request, v *visit, reason string) error {
			out, err := s.Board.Undo(r.Context(), v.Who.Actor(), r.PathValue("set"), r.PathValue("key"), 0, reason, v.Now)
			return onward(v, out, err)
		},
	}
}

func fieldsOf(rows []diffRow) string {
	var names []string
	for i, row := range rows {
		if i == 5 && len(rows) > 6 {
			return strings.Join(append(names, plural(int64(len(rows)-5), "more field", "more fields")), ", ")
		}
		names = append(names, row.Path)
	}
	return strings.Join(names, ", ")
}
