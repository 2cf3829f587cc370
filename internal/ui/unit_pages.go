package ui

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/upkeep"
)

// Upkeep takes units into maintenance and back.
type Upkeep interface {
	Units(ctx context.Context, now time.Time) ([]upkeep.Unit, error)
	Rest(ctx context.Context, actor, unit string, o upkeep.Order, now time.Time) (upkeep.Unit, error)
	Return(ctx context.Context, actor, unit, reason string, now time.Time) (upkeep.Unit, error)
}

// maintenanceRoutes are the pages of what keeps running: units, the minutes and the interfaces of services.
func (s *Server) maintenanceRoutes() {
	if s.Availability != nil {
		s.mux.HandleFunc("GET /services/{service}/availability", s.signed(policy.Read, s.availability))
	}
	if s.Contracts != nil {
		s.mux.HandleFunc("GET /services/{service}/interface", s.signed(policy.Read, s.serviceInterface))
	}
	if s.Vetting != nil {
		s.mux.HandleFunc("GET /artifacts/{digest}", s.signed(policy.Read, s.artifact))
	}
	if s.Upkeep == nil {
		return
	}
	s.mux.HandleFunc("GET /units", s.signed(policy.Read, s.units))
	s.deed("/units/{unit}/cordon", s.restUnit(false))
	s.deed("/units/{unit}/drain", s.restUnit(true))
	s.deed("/units/{unit}/return", s.returnUnit())
}

// unitRow is a unit for people.
type unitRow struct {
	upkeep.Unit
	Link, Tone, Says string
	Deeds            []unitDeed
}

// unitDeed is what can be done with it.
type unitDeed struct {
	Verb, Label string
	Loud        bool
}

type unitsPage struct {
	*visit
	Rows []unitRow
}

// unitWords are the tone and the meaning of a unit's states.
var unitWords = map[string][2]string{
	"serving": {"pass", "takes users"}, "cordoned": {"hold", "takes users; nothing new is brought to it"}, "leaving": {"hold", "asks its users to go elsewhere"},
	"resting": {"gone", "is out of service; its instances are stopped"}, "returning": {"wait", "starts its instances"}, "silent": {"fail", "has not reported for a while"},
}

func (s *Server) units(w http.ResponseWriter, r *http.Request, v *visit) error {
	v.Title, v.Live = "Units", "units"
	all, err := s.Upkeep.Units(r.Context(), v.Now)
	if err != nil {
		return err
	}
	p := &unitsPage{visit: v}
	for _, u := range all {
		words := unitWords[u.State]
		row := unitRow{Unit: u, Link: "/units/" + url.PathEscape(u.Name), Tone: words[0], Says: words[1]}
		drained := u.Rest != nil && u.Rest.Drain
		if u.Rest == nil {
			row.Deeds = append(row.Deeds, unitDeed{"cordon", "Cordon", false})
		}
		if !drained {
			row.Deeds = append(row.Deeds, unitDeed{"drain", "Drain", true})
		}
		if u.Rest != nil {
			row.Deeds = append(row.Deeds, unitDeed{"return", "Return", false})
		}
		p.Rows = append(p.Rows, row)
	}
	return s.show(w, r, http.StatusOK, "units", p)
}

// restUnit takes a unit into maintenance.
func (s *Server) restUnit(drain bool) deed {
	return deed{
		ask: func(r *http.Request, v *visit) (question, error) {
			u, err := s.unitOf(r, v)
			if err != nil {
				return question{}, err
			}
			q := question{Ask: "Cordon unit " + u.Name + "?", Button: "Cordon", Must: true, Back: "/units", Text: "No rollout enters a ring that has members there, until it returns. What runs goes on."}
			if drain {
				q.Ask, q.Button, q.Loud = "Drain unit "+u.Name+"?", "Drain", true
				q.Text = "Its gateway tells load balancers that it is not ready and asks clients to leave. Then its instances are stopped, until it returns."
				q.Inputs = []input{{Name: "wait", Label: "Time for load balancers to notice", Note: "optional", Help: "15s"}}
				q.Tick = "Even if no other unit serves what it serves"
			}
			return q, nil
		},
		do: func(r *http.Request, v *visit, reason string) error {
			order := upkeep.Order{Drain: drain, Reason: reason, Force: drain && r.PostFormValue("tick") != ""}
			if text := strings.TrimSpace(r.PostFormValue("wait")); text != "" {
				wait, err := time.ParseDuration(text)
				if err != nil {
					return errs.E(errs.Invalid, "wait: got %.40q, expected a duration such as 15s", text)
				}
				order.Wait = wait
			}
			_, err := s.Upkeep.Rest(r.Context(), v.Who.Actor(), r.PathValue("unit"), order, v.Now)
			return err
		},
	}
}

// returnUnit ends a unit's maintenance.
func (s *Server) returnUnit() deed {
	return deed{
		ask: func(r *http.Request, v *visit) (question, error) {
			u, err := s.unitOf(r, v)
			q := question{Ask: "Return unit " + u.Name + "?", Button: "Return", Back: "/units", Text: "New versions may be brought to it again."}
			if u.Rest != nil && u.Rest.Drain {
				q.Text = "Its instances are started; once they are ready its gateway takes users again."
			}
			return q, err
		},
		do: func(r *http.Request, v *visit, reason string) error {
			_, err := s.Upkeep.Return(r.Context(), v.Who.Actor(), r.PathValue("unit"), reason, v.Now)
			return err
		},
	}
}

func (s *Server) unitOf(r *http.Request, v *visit) (upkeep.Unit, error) {
	all, err := s.Upkeep.Units(r.Context(), v.Now)
	if err != nil {
		return upkeep.Unit{}, err
	}
	for _, u := range all {
		if u.Name == r.PathValue("unit") {
			return u, nil
		}
	}
	return upkeep.Unit{}, errs.E(errs.Missing, "no unit %.60q is known", r.PathValue("unit"))
}

// InFlight is what the unit is answering.
func (u unitRow) InFlight() (n int64) {
	for _, s := range u.Services {
		n += s.InFlight
	}
	return n
}
