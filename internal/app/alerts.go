package app

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/calendar"
	"github.com/ringfence/ringfence/internal/cli"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/notify/send"
	"github.com/ringfence/ringfence/internal/pager"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rulebook"
	"github.com/ringfence/ringfence/internal/tsdb"
)

// openPager makes what takes alerts of all sources.
func (s *server) openPager() {
	sender := send.New(send.Options{Secrets: filepath.Join(s.Data, secretsFolder), Version: cli.Version()})
	s.pager = pager.New(pager.Options{Store: s.store, Catalog: s.catalog, Sender: telling{sender}, Calendar: rests{}, Logger: s.Logger})
}

// telling fits what sends messages to the pager.
type telling struct{ *send.Sender }

func (t telling) Tell(ctx context.Context, to resource.Notifier, n alert.Notice) error {
	err := t.Alert(ctx, to.To, n)
	var f *notify.Failure
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &f):
		return err
	case f.Refused:
		return errs.Wrap(errs.Invalid, f, "refused")
	case f.Partly: // nothing is sent again
		return nil
	}
	return later{f}
}

// later says when the receiver wants to be asked again.
type later struct{ *notify.Failure }

// Later is how long the receiver asks to be left alone.
func (l later) Later() time.Duration { return l.After }

// rests fit the calendar to the pager.
type rests struct{}

func (rests) Active(w resource.Window, now time.Time) bool {
	_, is := calendar.Active(w, now)
	return is
}

// openRules makes what evaluates rules and sends the alerts that they make.
func (s *server) openRules(link string) {
	s.rules = s.metrics.Rules(tsdb.RulesOptions{Declared: s.declaredRules, Send: s.pager.Send, Firing: s.pager.Firing, Off: s.switchedOff, Link: link, Logger: s.Logger,
		Interval: min(15*time.Second, max(time.Second, 5*s.Scrape))})
	s.registry.MustRegister(s.rules, s.pager)
}

// heartbeatRules are the rules of the dead man's switch: what they look at always holds.
const heartbeatRules = "ringfence"

// declaredRules are the rules that are declared, those that are built in, and the one that always fires.
func (s *server) declaredRules(ctx context.Context) (map[string]resource.AlertRules, error) {
	sets, err := everyOne[resource.AlertRules](ctx, s, resource.KindAlertRules)
	if err != nil {
		return nil, err
	}
	services, err := everyOne[resource.Service](ctx, s, resource.KindService)
	if err != nil {
		return nil, err
	}
	off := rulebook.Off(services)
	objectives, err := s.slos.Declared(ctx)
	if err != nil {
		return nil, err
	}
	rulebook.Aside(off, objectives)
	s.rulesOff.Store(&off)
	sets[rulebook.Set] = rulebook.Rules(off)
	every, err := s.pager.Beat(ctx)
	if err == nil && every > 0 {
		beat := resource.RuleGroup{Name: "heartbeat", Interval: model(every), Rules: []resource.Rule{{Alert: pager.Heartbeat, Expr: "vector(1)",
			Labels:      map[string]string{alert.Severity: alert.Info},
			Annotations: map[string]string{alert.Summary: "alerts find their way: rules are evaluated, and what they say is delivered"}}}}
		own := sets[heartbeatRules]
		own.Groups = append(own.Groups[:len(own.Groups):len(own.Groups)], beat)
		sets[heartbeatRules] = own
	}
	return sets, err
}

// switchedOff says whether an alert is of a built-in rule that its service does not want any more: it is over at once, also when
// the data that it came from has gone and it is held.
func (s *server) switchedOff(a alert.Alert) bool {
	off := s.rulesOff.Load()
	return off != nil && strings.HasPrefix(a.Annotations[tsdb.RuleMark], rulebook.Set+"/") && slices.Contains((*off)[a.Labels[alert.Name]], a.Labels[alert.Service])
}

// everyOne reads all resources of a kind, by name.
func everyOne[T resource.Spec](ctx context.Context, s *server, kind string) (map[string]T, error) {
	all := map[string]T{}
	for after := ""; ; {
		rs, err := s.catalog.List(ctx, kind, after, 0)
		if err != nil || len(rs) == 0 {
			return all, err
		}
		for _, r := range rs {
			if all[r.Metadata.Name], err = resource.As[T](r); err != nil {
				return nil, err
			}
		}
		after = rs[len(rs)-1].Metadata.Name
	}
}

// model is a duration as Prometheus writes it.
func model(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "ms" }

// judgedByAlerts says whether the alerts of a service speak against what is rolled out. One that fired before speaks
// against nothing, but keeps the change where it is: nobody could tell what it does. One of another version is none.
func (s *server) judgedByAlerts(vars map[string]string) health.Reading {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	o, err := s.pager.Overview(ctx)
	if err != nil {
		return health.Reading{Verdict: health.Hold, Text: "alerts cannot be read: " + err.Error()}
	}
	var began time.Time
	if state, err := s.controller.Find(ctx, vars["rollout"]); err == nil {
		began = state.Created
	}
	verdict, text := alert.Against(o.Alerts, vars["service"], vars["version"], began)
	return health.Reading{Verdict: health.Verdict(verdict), Text: text}
}
