package vetting

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/osv"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// Alerts take what people are told of.
type Alerts interface {
	Send(ctx context.Context, alerts []alert.Alert) error
	Firing(ctx context.Context) ([]alert.Alert, error)
}

// AlertVulnerable is the alert about a running version with a vulnerability that nothing excepts.
const AlertVulnerable = "VulnerableVersion"

// guide is the page that says what to do about it.
const guide = "docs/built-in-alerts.md#vulnerableversion"

// Run watches what runs until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(k.Every)
	defer tick.Stop()
	for {
		if err := k.Watch(ctx); err != nil && ctx.Err() == nil {
			k.Logger.Error("looking for vulnerabilities in what runs", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-k.wake:
		}
	}
}

// look has what runs looked at again soon.
func (k *Keeper) look() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Watch looks once for vulnerabilities in what runs, and tells of them. An alert ends when its version does not run any more, the
// vulnerability is withdrawn, or an exception is made.
func (k *Keeper) Watch(ctx context.Context) error {
	if k.Alerts == nil {
		return nil
	}
	running, err := k.Running(ctx)
	if err != nil {
		return err
	}
	var hold []alert.Alert
	for _, r := range running {
		found, err := k.bad(ctx, r)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			hold = append(hold, k.alert(r, found))
		}
	}
	return k.tell(ctx, hold)
}

// bad are the vulnerabilities of a running version that matter: those that its Admission refuses, or from high on where none says.
func (k *Keeper) bad(ctx context.Context, r Running) ([]osv.Finding, error) {
	components, err := k.Components(ctx, r.Digest)
	if err != nil || len(components) == 0 {
		return nil, err
	}
	found, _, err := k.find(ctx, components)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	_, specs, err := k.admissions(ctx, r.Service)
	if err != nil {
		return nil, err
	}
	bar := osv.High
	for _, s := range specs {
		for _, d := range s.Demands {
			if d.Vulnerabilities != nil {
				if below, ok := osv.ParseSeverity(d.Vulnerabilities.Below); ok {
					bar = min(bar, below)
				}
			}
		}
	}
	now := k.Now()
	return slices.DeleteFunc(found, func(f osv.Finding) bool {
		return f.Severity < bar || slices.ContainsFunc(specs, func(s resource.Admission) bool { return excepted(s, f, r.Service, now) })
	}), nil
}

func excepted(s resource.Admission, f osv.Finding, service string, now time.Time) bool {
	return slices.ContainsFunc(s.Exceptions, func(e resource.Exception) bool {
		ends, err := e.Ends()
		return err == nil && now.Before(ends) && e.Vulnerability != "" && f.Is(e.Vulnerability) && (e.Component == "" || e.Component == f.Component) &&
			(len(e.Services) == 0 || slices.Contains(e.Services, service))
	})
}

// alert wakes somebody for what is critical, or may be; the rest is a ticket.
func (k *Keeper) alert(r Running, found []osv.Finding) alert.Alert {
	severity := alert.Ticket
	if found[0].Severity >= osv.Critical {
		severity = alert.Paging
	}
	var names []string
	for _, f := range found[:min(len(found), 10)] {
		fix := "no fix yet"
		if len(f.Fixed) > 0 {
			fix = "fixed in " + strings.Join(f.Fixed, ", ")
		}
		names = append(names, fmt.Sprintf("%s in %s %s (%s, %s)", f.ID, f.Component, f.Version, f.Severity, fix))
	}
	if more := len(found) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	exposed := "no users get it"
	if len(r.Rings) > 0 {
		exposed = fmt.Sprintf("rings %s get it, %s %% of the users seen lately", strings.Join(r.Rings, ", "), strconv.FormatFloat(r.Share, 'f', -1, 64))
	}
	return alert.Alert{StartsAt: k.Now().UTC(), GeneratorURL: "/artifacts/" + r.Digest,
		Labels: map[string]string{alert.Name: AlertVulnerable, alert.Severity: severity, alert.Service: r.Service, alert.Version: r.Version, "cause": "vulnerability"},
		Annotations: map[string]string{alert.DefaultRunbook: guide,
			alert.Summary:       fmt.Sprintf("%s %s runs with %d known vulnerabilities, the worst %s", r.Service, r.Version, len(found), found[0].Severity),
			alert.Description:   strings.Join(names, "; ") + ". In units " + strings.Join(r.Units, ", ") + "; " + exposed + ".",
			alert.DefaultImpact: exposed}}
}

// tell sends the alerts that hold, and ends those of ours that do not hold any more, whoever sent them.
func (k *Keeper) tell(ctx context.Context, hold []alert.Alert) error {
	firing, err := k.Alerts.Firing(ctx)
	if err != nil {
		return err
	}
	now := k.Now().UTC()
	for _, old := range firing {
		if old.Labels[alert.Name] != AlertVulnerable || old.Labels["cause"] != "vulnerability" {
			continue
		}
		i := slices.IndexFunc(hold, func(a alert.Alert) bool { return a.ID() == old.ID() })
		if i >= 0 {
			hold[i].StartsAt = old.StartsAt
			continue
		}
		old.EndsAt = now
		hold = append(hold, old)
	}
	if len(hold) == 0 {
		return nil
	}
	return k.Alerts.Send(ctx, hold)
}

// Runs are the versions that units shall run, from the documents that say so, with who gets them.
func Runs(ctx context.Context, s Store, kind string, users func(unit, service string) []fleet.UserCount) ([]Running, error) {
	var all []Running
	after := ""
	for {
		docs, err := s.List(ctx, store.Page{Kind: kind, After: after})
		if err != nil || len(docs) == 0 {
			return shares(all), err
		}
		for _, d := range docs {
			unit, _, _ := strings.Cut(d.Name, "/")
			var svc fleet.Service
			if err := json.Unmarshal(d.Body, &svc); err != nil {
				return nil, errs.Wrap(errs.Internal, err, "what %s shall run", d.Name)
			}
			if !svc.Gone {
				all = count(all, unit, svc, users(unit, svc.Name))
			}
			after = d.Name
		}
	}
}

// count adds what one unit runs of a service. Share holds numbers of users until all are known.
func count(all []Running, unit string, svc fleet.Service, users []fleet.UserCount) []Running {
	for _, slot := range svc.Slots {
		if slot.Digest == "" {
			continue
		}
		version := resource.SlotOf(slot.Version).Version
		i := slices.IndexFunc(all, func(r Running) bool { return r.Service == svc.Name && r.Version == version })
		if i < 0 {
			i, all = len(all), append(all, Running{Service: svc.Name, Version: version, Digest: slot.Digest, Rings: []string{}})
		}
		if !slices.Contains(all[i].Units, unit) {
			all[i].Units = append(all[i].Units, unit)
		}
		for j, ring := range svc.Rings {
			if j < len(svc.Exposure) && svc.Exposure[j] == slot.Version && !slices.Contains(all[i].Rings, ring.Name) {
				all[i].Rings = append(all[i].Rings, ring.Name)
			}
		}
		for _, u := range users {
			if u.Version == slot.Version {
				all[i].Share += float64(u.Users)
			}
		}
	}
	return all
}

// shares makes percents of numbers. Where nobody was seen lately nothing can be said, which is 0.
func shares(all []Running) []Running {
	total := map[string]float64{}
	for _, r := range all {
		total[r.Service] += r.Share
	}
	for i, r := range all {
		if total[r.Service] > 0 {
			all[i].Share = float64(int(1000*r.Share/total[r.Service]+0.5)) / 10
		}
	}
	return all
}
