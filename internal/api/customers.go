package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/account"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/clientele"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
)

// Customers keep how the accounts of services fare.
type Customers interface {
	Take(ctx context.Context, unit string, minutes []fleet.AccountMinute) error
	Report(ctx context.Context, service string, q clientele.Asked) (account.Report, error)
}

// mostMinutes bounds a report of accounts: a few services' minutes of a few hundred accounts each.
const mostMinutes = 4 << 20

func (s *Server) customers() {
	register(s, operation{method: http.MethodPost, path: "/v1/units/{unit}/accounts", id: "tellAccounts", tag: "units",
		summary: "Takes how accounts fared in minutes that are over", about: "What the same life of a gateway told before counts once. Unknown fields are ignored: a data plane may be newer than its control plane.",
		route: route{action: policy.Operate, maxBody: mostMinutes}, loose: true}, s.tellAccounts)
	register(s, operation{method: http.MethodGet, path: "/v1/customers", id: "listCustomers", tag: "slos",
		summary: "Shows how the accounts of services fare, those with most bad minutes first", route: route{action: policy.Read}}, s.listCustomers)
}

func (s *Server) tellAccounts(ctx context.Context, in *struct {
	ByPlane
	Body struct {
		Minutes []fleet.AccountMinute `json:"minutes" maxItems:"200"`
	}
}) (*none, error) {
	if err := s.Hub.Admit(ctx, in.Unit, in.Plane); err != nil {
		return nil, err
	}
	if s.Customers == nil {
		return nil, errs.E(errs.Unavailable, "accounts are not counted here")
	}
	return &none{}, s.Customers.Take(ctx, in.Unit, in.Body.Minutes)
}

type customersInput struct {
	Service string `query:"service" maxLength:"63" doc:"only of this service; default every one that says to which account a request belongs"`
	Account string `query:"account" maxLength:"200" doc:"only this account, by its name, or by its hash where accounts are hashed"`
	Since   string `query:"since" maxLength:"20" default:"24h" doc:"the time until now that is looked at, at most 672h"`
	Limit   int    `query:"limit" minimum:"0" maximum:"1000" doc:"at most so many accounts of a service; default 50"`
}

func (s *Server) listCustomers(ctx context.Context, in *customersInput) (*answered[wire.Customers], error) {
	since, err := time.ParseDuration(in.Since)
	if err != nil || since < time.Minute || since > account.Window {
		return nil, errs.E(errs.Invalid, "since %q: expected a duration from 1m to %.0fh", in.Since, account.Window.Hours())
	}
	if s.Customers == nil {
		return nil, errs.E(errs.Unavailable, "accounts are not counted here")
	}
	q := clientele.Asked{Since: since, Account: in.Account, Limit: in.Limit}
	out := wire.Customers{Items: []account.Report{}}
	if in.Service != "" {
		r, err := s.Customers.Report(ctx, in.Service, q)
		out.Items = append(out.Items, r)
		return &answered[wire.Customers]{out}, err
	}
	for after := ""; ; {
		some, err := s.Catalog.List(ctx, resource.KindService, after, 0)
		if err != nil || len(some) == 0 {
			return &answered[wire.Customers]{out}, err
		}
		for _, r := range some {
			after = r.Metadata.Name
			switch report, err := s.Customers.Report(ctx, after, q); {
			case err == nil:
				out.Items = append(out.Items, report)
			case !errs.Is(err, errs.Missing): // it counts none
				return nil, err
			}
		}
	}
}
