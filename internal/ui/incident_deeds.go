package ui

import (
	"errors"
	"net/http"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/responder"
)

// incidentDeedOf is a verb with its question.
type incidentDeedOf struct {
	verb              incident.Verb
	ask, text, button string
	must, loud        bool
}

var incidentDeeds = []incidentDeedOf{
	{incident.Ack, "Take {id}?", "Nobody else is called. You lead until somebody else does.", "Take it", false, false},
	{incident.Note, "Note on {id}", "It stands in the timeline and in the postmortem.", "Write it down", true, false},
	{incident.Update, "Tell everyone of {id}", "It goes to all notifiers at once: who is hurt, what is being done, when you say more.", "Tell everyone", true, false},
	{incident.Mitigate, "Are users of {id} safe?", "It says that users are not hurt any more. It takes nothing back.", "Users are safe", false, false},
	{incident.Resolve, "Resolve {id}?", "What was wrong is put right.", "Resolve", false, false},
	{incident.Reopen, "Is {id} back?", "People are called again.", "Reopen", false, true},
	{incident.Close, "Close {id}?", "Nothing of its checklist may be left.", "Close", false, false},
}

func (s *Server) incidentDeed(d incidentDeedOf) deed {
	return deed{
		ask: func(r *http.Request, _ *visit) (question, error) {
			id := clip(r.PathValue("incident"), 40)
			q := question{Ask: strings.ReplaceAll(d.ask, "{id}", id), Text: d.text, Button: d.button, Must: d.must, Loud: d.loud, Back: "/incidents/" + id}
			_, err := s.Incidents.View(r.Context(), id)
			return q, err
		},
		do: func(r *http.Request, v *visit, reason string) error {
			_, err := s.Incidents.Do(r.Context(), r.PathValue("incident"), incident.Ask{Verb: d.verb, Actor: v.Who.Actor(), Text: reason})
			return onThePage(d.verb, err)
		},
	}
}

// onThePage says what to do next where it is done in a browser.
func onThePage(verb incident.Verb, err error) error {
	var e *errs.Error
	if !errors.As(err, &e) || e.Kind != errs.Conflict {
		return err
	}
	hint := map[incident.Verb]string{
		incident.Resolve: "What is left stands under “Until it is closed”. When an alert still fires, wait until it is over, or say here why that does not matter.",
		incident.Close:   "What is left stands under “Until it is closed”, with a form at each point.",
	}[verb]
	if hint == "" {
		return err
	}
	return errs.E(e.Kind, "%s", e.Error()).Next("%s", hint)
}

// remedyIncident takes back what is suspected: the remedy that the button names, which is asked for again.
func (s *Server) remedyIncident() deed {
	return deed{
		ask: func(r *http.Request, _ *visit) (question, error) {
			view, err := s.Incidents.View(r.Context(), r.PathValue("incident"))
			if err != nil {
				return question{}, err
			}
			want := firstOf(r.URL.Query().Get("do"), r.PostFormValue("ring"))
			q := question{Back: "/incidents/" + view.Incident.ID, Loud: true, Button: "Do it"}
			for _, re := range view.Remedies {
				if key := re.Kind + "/" + re.Ref; re.Why == "" && (want == "" || want == key) {
					q.Ask, q.Ring, q.Button = re.Label+"?", key, strings.SplitN(re.Label, " ", 3)[0]
					if re.Kind == responder.Rollback {
						q.Button = "Roll back"
					}
					q.Text = "It is done at once, and stands in the timeline."
					if re.Suspect != "" {
						q.Text = re.Suspect + " has " + incident.Odds(re.Share) + " of the odds to be the cause. " + q.Text
					}
					return q, nil
				}
			}
			return q, errs.E(errs.Conflict, "nothing that could be taken back is a suspect of %s now", view.Incident.ID)
		},
		do: func(r *http.Request, v *visit, reason string) error {
			kind, ref, _ := strings.Cut(r.PostFormValue("ring"), "/")
			_, err := s.Incidents.Remedy(r.Context(), v.Who.Actor(), r.PathValue("incident"), kind, ref, reason)
			return err
		},
	}
}

func firstOf(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

const noService = "none"

// openIncident opens one that somebody has seen.
func (s *Server) openIncident() deed {
	return deed{
		ask: func(r *http.Request, _ *visit) (question, error) {
			q := question{Ask: "Open an incident?", Text: "Say what is wrong in a line. Whoever is on call for the service is called.", Button: "Open it", Loud: true, Must: true, Back: "/incidents", Choose: "Service"}
			all, err := s.Catalog.List(r.Context(), "Service", "", 0)
			for _, res := range all {
				q.Choices = append(q.Choices, res.Metadata.Name)
			}
			q.Choices = append(q.Choices, noService)
			return q, err
		},
		do: func(r *http.Request, v *visit, reason string) error {
			d := responder.Draft{Title: clip(reason, 200), Service: r.PostFormValue("choice")}
			if d.Service == noService {
				d.Service = ""
			}
			st, err := s.Incidents.Open(r.Context(), v.Who.Actor(), d)
			if err == nil {
				v.Onward = "/incidents/" + st.ID
			}
			return err
		},
	}
}
