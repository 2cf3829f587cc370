package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/breach"
	"github.com/ringfence/ringfence/internal/breaching"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/pager"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/responder"
)

// What is asked in intervals, and must have no answer.
const (
	artifactChanged = "ArtifactChanged"
	repairOverdue   = "RepairOverdue"
)

// openBreaches makes what watches for breaches and keeps them.
func (s *server) openBreaches() {
	s.breaches = breaching.New(breaching.Options{Store: s.store, Hands: containing{s}, Alerts: detections{s.pager}, Changed: s.store.Changed, Logger: s.Logger})
	s.breaches.Queries = []breaching.Query{
		{Name: artifactChanged, About: "the artifact of a stable version is not what was released", Owner: "security",
			Playbook: "Keep the file as evidence. Stop the line; bring the artifact back from where it was built, and compare its digest; ringfence breach start.", Ask: s.changedArtifacts},
		{Name: repairOverdue, About: "what a breach left to repair, or to tell, is late", Owner: "security", Playbook: "Repair it, or say why it takes longer: ringfence breach show.", Ask: s.breaches.Overdue},
	}
}

// changedArtifacts reads the artifacts of what serves everyone.
func (s *server) changedArtifacts(ctx context.Context) ([]string, error) {
	services, err := everyOne[resource.Service](ctx, s, resource.KindService)
	if err != nil {
		return nil, err
	}
	var out []string
	for name := range services {
		version, err := s.lastGood(ctx, name)
		if err != nil || version == "" {
			continue // nothing serves everyone yet
		}
		rel, err := s.catalog.Release(ctx, name, version)
		if errs.Is(err, errs.Missing) || err == nil && rel.Digest == "" {
			continue
		}
		if err != nil {
			return nil, err
		}
		if why := s.artifactWrong(ctx, rel.Digest); why != "" {
			out = append(out, fmt.Sprintf("%s %s: %s", name, version, why))
		}
	}
	return out, nil
}

func (s *server) artifactWrong(ctx context.Context, digest string) string {
	r, err := s.blobs.Open(ctx, digest)
	if err != nil {
		return "its artifact cannot be read: " + err.Error()
	}
	defer r.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return "its artifact cannot be read: " + err.Error()
	}
	if have := "sha256:" + hex.EncodeToString(sum.Sum(nil)); have != digest {
		return "its artifact on disk is " + have + ", released was " + digest
	}
	return ""
}

// detections makes what was found alerts.
type detections struct{ pager *pager.Pager }

func (d detections) Found(ctx context.Context, all []breach.Detection) error {
	names := []string{artifactChanged, repairOverdue}
	for _, r := range breach.Rules {
		names = append(names, r.Name)
	}
	seen := map[string]bool{}
	var hold []alert.Alert
	for _, f := range all {
		a := alert.Alert{StartsAt: f.At, GeneratorURL: fmt.Sprintf("/events/%d", max(f.Seq, 1)),
			Labels:      map[string]string{alert.Name: f.Name, alert.Severity: alert.Paging, alert.Owner: f.Owner, "actor": strings.ReplaceAll(f.Actor, "\n", " ")},
			Annotations: map[string]string{alert.Summary: f.Why, alert.Description: f.Playbook, alert.Impact: "Somebody may be acting under another's name."}}
		if f.Name == repairOverdue {
			a.Labels[alert.Severity] = alert.Ticket
		}
		if f.Actor == "" {
			delete(a.Labels, "actor")
		}
		if !seen[a.ID()] {
			seen[a.ID()], hold = true, append(hold, a)
		}
	}
	return tellPager(ctx, d.pager, names, hold)
}

// containing fits what contains to the keeper of breaches.
type containing struct{ *server }

func (c containing) End(ctx context.Context, actor, name string, now time.Time) (int, error) {
	gone, err := access.Tokens{Store: c.store}.End(ctx, actor, name, now)
	if errs.Is(err, errs.Missing) {
		err = nil
	}
	return len(gone), err
}

func (c containing) Revoke(ctx context.Context, actor, name string, now time.Time) (int, error) {
	_, err := access.Tokens{Store: c.store}.Revoke(ctx, actor, name, now)
	if errs.Is(err, errs.Missing) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return 1, nil
}

func (c containing) Stop(ctx context.Context, actor, reason string, now time.Time) error {
	line, err := c.controller.Line(ctx)
	if err != nil || line.Stopped {
		return err
	}
	_, err = c.controller.TurnLine(ctx, actor, reason, true, now)
	return err
}

func (c containing) Lead(ctx context.Context, actor, title string, severity int) (string, error) {
	if c.responder == nil {
		return "", errs.E(errs.Unavailable, "incidents are not kept yet")
	}
	s, err := c.responder.Open(ctx, actor, responder.Draft{Title: title, Severity: &severity, Commander: strings.TrimPrefix(actor, "user:")})
	return s.ID, err
}

// Reach answers what a stolen identity gets to.
func (s *server) Reach(ctx context.Context, name string) ([]breach.Reached, error) {
	w := breach.World{May: func(p policy.Principal, a policy.Action) bool { return policy.Allow(p, a) == nil }}
	tokens, err := access.Tokens{Store: s.store}.List(ctx)
	if err != nil {
		return nil, err
	}
	known := false
	now := time.Now()
	for _, t := range tokens {
		if !t.Revoked.IsZero() || !t.Expires.IsZero() && now.After(t.Expires) {
			continue
		}
		w.Principals = append(w.Principals, policy.Principal{Name: t.Name, Role: t.Role, Groups: t.Groups})
		known = known || t.Name == name
	}
	if !known {
		return nil, errs.E(errs.Missing, "nobody is known as %.80q now", name).Next("See who is: ringfence token list, ringfence session list")
	}
	if err := s.things(ctx, &w); err != nil {
		return nil, err
	}
	return breach.Reach(w, name), nil
}

// things are services with their rings, flag sets and units.
func (s *server) things(ctx context.Context, w *breach.World) error {
	services, err := everyOne[resource.Service](ctx, s, resource.KindService)
	if err != nil {
		return err
	}
	for name := range services {
		r, err := s.catalog.Resolve(ctx, name)
		if err != nil {
			continue // its plan is not declared yet: nothing goes out
		}
		one := breach.Service{Name: name}
		for _, ring := range r.Rings {
			one.Rings = append(one.Rings, breach.Ring{Name: ring.Name, Approvers: approvers(ring.Approval)})
		}
		w.Services = append(w.Services, one)
	}
	sets, err := everyOne[resource.FlagSet](ctx, s, resource.KindFlagSet)
	if err != nil {
		return err
	}
	for name := range sets {
		w.FlagSets = append(w.FlagSets, name)
	}
	for _, o := range s.hub.Units() {
		w.Units = append(w.Units, o.Unit)
	}
	return nil
}

// approvers are the groups that a ring asks.
func approvers(a *resource.Approval) []string {
	if a == nil {
		return nil
	}
	out := append([]string{}, a.From...)
	for _, g := range a.Groups {
		out = append(out, g.Name)
	}
	if len(out) == 0 {
		out = []string{"whoever may operate rollouts"}
	}
	return out
}
