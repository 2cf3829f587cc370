package ui

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/contract"
)

// Contracts keep what services promise their callers.
type Contracts interface {
	Show(ctx context.Context, service string) (contract.Overview, error)
	Check(ctx context.Context, service, version string) (contract.Report, error)
}

type interfacePage struct {
	*visit
	contract.Overview
	Window     string
	Deprecated []usageRow
	Rows       []usageRow
	Newest     *contract.Report // of the newest release, when it is not served
}

// usageRow is an operation for people.
type usageRow struct {
	contract.Usage
	Label string
	Over  bool // its sunset has passed
}

// serviceInterface shows what a service can be asked for, and who asks.
func (s *Server) serviceInterface(w http.ResponseWriter, r *http.Request, v *visit) error {
	o, err := s.Contracts.Show(r.Context(), r.PathValue("service"))
	if err != nil {
		return err
	}
	v.Title = o.Service + ", interface"
	p := &interfacePage{visit: v, Overview: o, Window: span(time.Duration(o.Rule.Window))}
	for _, u := range o.Operations {
		row := usageRow{u, u.Name, !u.Sunset.IsZero() && u.Sunset.Before(v.Now)}
		switch u.Name {
		case "":
			row.Label = "of a version without an interface"
		case "other":
			row.Label = "what no interface names"
		}
		if u.Deprecated.IsZero() {
			p.Rows = append(p.Rows, row)
		} else {
			p.Deprecated = append(p.Deprecated, row)
		}
	}
	all, err := s.Catalog.Releases(r.Context(), o.Service)
	if err != nil {
		return err
	}
	if newest := newestFirst(all); len(newest) > 0 && newest[0].Interface != nil {
		rep, err := s.Contracts.Check(r.Context(), o.Service, newest[0].Version)
		if err != nil {
			return err
		}
		if len(rep.Breaks) > 0 {
			p.Newest = &rep
		}
	}
	return s.show(w, r, http.StatusOK, "interface", p)
}
