package clientele

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/account"
	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// The names of alerts, and the label that has the account.
const (
	AlertOne     = "CustomerHurt"
	AlertSeveral = "CustomersHurt"
	Account      = "account"
)

// guide is the page that says of each alert what to do.
const guide = "docs/built-in-alerts.md"

// every is how often is looked when nothing is told.
const every = time.Minute

// Run tells of accounts that suffer until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := e.Look(ctx); err != nil && ctx.Err() == nil {
			e.Logger.Warn("accounts cannot be watched; it is tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-e.news:
		}
	}
}

// Look does once what Run does again and again: it sends the alerts that hold, and those that are over, and drops what is too old.
func (e *Engine) Look(ctx context.Context) error {
	var hold []alert.Alert
	for after := ""; ; {
		docs, err := e.Store.List(ctx, store.Page{Kind: KindBook, After: after, Limit: 20})
		if err != nil {
			return err
		}
		for _, doc := range docs {
			some, err := e.look(ctx, doc)
			if err != nil {
				return err
			}
			hold, after = append(hold, some...), doc.Name
		}
		if len(docs) == 0 {
			return e.tell(ctx, hold)
		}
	}
}

// look is what is to be told of one service. The book of a service that is gone, or of which nothing is known any more, goes.
func (e *Engine) look(ctx context.Context, doc store.Doc) ([]alert.Alert, error) {
	var b account.Book
	if err := json.Unmarshal(doc.Body, &b); err != nil {
		return nil, errs.Wrap(errs.Internal, err, "accounts of %s", doc.Name)
	}
	now := e.Now()
	spec, err := e.spec(ctx, doc.Name)
	gone := errs.Is(err, errs.Missing)
	if err != nil && !gone {
		return nil, err
	}
	if !gone && now.Sub(doc.Updated) > time.Hour { // no gateway tells of it: what is old is not dropped by the way
		b.Fold(now, *spec.Customers)
	}
	if gone || b.Empty() {
		_, err := e.Store.Commit(ctx, store.Write{Deletes: []store.Doc{{Kind: KindBook, Name: doc.Name, Rev: doc.Rev}}})
		if errs.Is(err, errs.Conflict) || errs.Is(err, errs.Missing) {
			err = nil
		}
		return nil, err
	}
	if now.Sub(doc.Updated) > 24*time.Hour {
		if err := e.put(ctx, doc.Name, doc.Rev, &b); err != nil && !errs.Is(err, errs.Conflict) {
			return nil, err
		}
	}
	hurt, together := b.Hurt(*spec.Customers, now)
	return e.alerts(doc.Name, spec, hurt, together), nil
}

func (e *Engine) alerts(service string, spec resource.Service, hurt []account.Sufferer, together bool) []alert.Alert {
	off := func(name string) bool {
		return slices.Contains(spec.AlertsOff, name) || slices.Contains(spec.AlertsOff, resource.AllAlerts)
	}
	switch {
	case len(hurt) == 0:
		return nil
	case together && off(AlertSeveral), !together && off(AlertOne):
		return nil
	case together:
		return []alert.Alert{e.several(service, spec, hurt)}
	}
	all := make([]alert.Alert, len(hurt))
	for i, s := range hurt {
		all[i] = e.one(service, spec, s)
	}
	return all
}

// words say how an account fares, and everybody else.
func words(s account.Sufferer, spec resource.Service) string {
	text := fmt.Sprintf("%d of its last %d minutes were bad, from %s on: %d of %d requests failed or took longer than %s", s.Minutes, spec.Customers.Of, s.Since.Format("15:04"), s.Own.Bad, s.Own.Requests, spec.Route.Account.SlowOver)
	if len(s.Where) > 0 {
		text += fmt.Sprintf(", most of them in version %s, ring %s", s.Where[0].Version, s.Where[0].Ring)
	}
	return text
}

func (e *Engine) one(service string, spec resource.Service, s account.Sufferer) alert.Alert {
	a := e.alert(AlertOne, service)
	a.Labels[Account] = s.Account
	a.Annotations[alert.Summary] = fmt.Sprintf("%s: customer %s is hurt, and others are not", service, s.Account)
	a.Annotations[alert.Description] = fmt.Sprintf("%s. Of everybody else's requests %.2g %% were bad.", words(s, spec), 100*s.Rest().Share())
	a.Annotations[alert.DefaultImpact] = fmt.Sprintf("Customer %s cannot use %s as it should.", s.Account, service)
	return a
}

// named is how many accounts are named.
const named = 10

func (e *Engine) several(service string, spec resource.Service, hurt []account.Sufferer) alert.Alert {
	var list []string
	for i, s := range hurt {
		if i < named {
			list = append(list, s.Account)
		}
	}
	if n := len(hurt) - len(list); n > 0 {
		list = append(list, fmt.Sprintf("%d more", n))
	}
	a := e.alert(AlertSeveral, service)
	a.Annotations[alert.Summary] = fmt.Sprintf("%s: %d customers are hurt, though it is well as a whole: %s", service, len(hurt), strings.Join(list, ", "))
	a.Annotations[alert.Description] = fmt.Sprintf("%s: %s.", hurt[0].Account, words(hurt[0], spec))
	a.Annotations[alert.DefaultImpact] = fmt.Sprintf("%d customers cannot use %s as they should.", len(hurt), service)
	return a
}

// alert begins now: that it is so is known from enough bad minutes on. When it began to hurt the requests say.
func (e *Engine) alert(name, service string) alert.Alert {
	return alert.Alert{StartsAt: e.Now().UTC(), GeneratorURL: "/services/" + service,
		Labels:      map[string]string{alert.Name: name, alert.Severity: alert.Paging, alert.Service: service, "cause": "customer"},
		Annotations: map[string]string{alert.DefaultRunbook: guide + "#" + strings.ToLower(name)}}
}

// tell sends the alerts that hold, and ends those of ours that fire and do not hold any more, whoever sent them.
func (e *Engine) tell(ctx context.Context, hold []alert.Alert) error {
	if e.Alerts == nil {
		return nil
	}
	firing, err := e.Alerts.Firing(ctx)
	if err != nil {
		return err
	}
	holds := map[string]int{}
	for i, a := range hold {
		holds[a.ID()] = i
	}
	now := e.Now().UTC()
	for _, a := range firing {
		if name := a.Labels[alert.Name]; name != AlertOne && name != AlertSeveral || a.Labels["cause"] != "customer" {
			continue
		}
		if i, still := holds[a.ID()]; still {
			hold[i].StartsAt = a.StartsAt
			continue
		}
		a.EndsAt = now
		hold = append(hold, a)
	}
	if len(hold) == 0 {
		return nil
	}
	return e.Alerts.Send(ctx, hold)
}
