package authority

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/grant"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// The kinds of documents: grants that are asked for, hold or wait for a review, by who/number; those that are over; and what
// every change of somebody's grants replaces.
const (
	KindGrant = "Grant"
	KindPast  = "GrantPast"
	kindHead  = "GrantHead"
)

type grantHead struct {
	Last int `json:"last"` // number of the newest grant
}

func grantName(id string) (who, name string, err error) {
	i := strings.LastIndexByte(id, '-')
	if i <= 0 || len(id)-i > 9 {
		return "", "", errs.E(errs.Missing, "there is no grant %.100q", id).Next("List them: ringfence access list")
	}
	return id[:i], fmt.Sprintf("%s/%08s", id[:i], id[i+1:]), nil
}

// granted is decided again with each role that somebody holds by a grant now, within its scope.
func (a *Authority) granted(ctx context.Context, l *loaded, q policy.Request, no policy.Decision) (policy.Decision, error) {
	docs, err := a.Store.List(ctx, store.Page{Kind: KindGrant, Prefix: q.Principal.Name + "/"})
	if err != nil {
		return no, errs.Wrap(errs.KindOf(err), err, "cannot tell what was granted")
	}
	if len(docs) == 0 {
		return no, nil
	}
	if !l.asks { // the scope may be of a service or ring that was not looked up
		if q, err = a.complete(ctx, l, q, true); err != nil {
			return no, err
		}
	}
	for _, d := range docs {
		g, err := decode[grant.Grant](d)
		if err != nil {
			return no, err
		}
		if g.Who != q.Principal.Name || !g.Holds(q.Now) || !g.Covers(q.Resource) {
			continue
		}
		with := q
		with.Principal.Role, with.Granted = g.Role, true
		if d := l.decide(with); d.Allowed {
			d.Grant = g.ID
			return d, nil
		}
	}
	return no, nil
}

// changing decides on somebody's grants, in one write with what every such change replaces, and again when another was faster.
func (a *Authority) changing(ctx context.Context, who string, now time.Time, decide func(next int) (store.Write, bool, error)) error {
	for i := 0; ; i++ {
		doc, err := a.Store.Get(ctx, kindHead, who)
		var h grantHead
		if err == nil {
			h, err = decode[grantHead](doc)
		}
		if err != nil && !errs.Is(err, errs.Missing) {
			return err
		}
		w, made, err := decide(h.Last + 1)
		if err != nil || len(w.Puts)+len(w.Deletes) == 0 {
			return err
		}
		if made {
			h.Last++
		}
		body, err := json.Marshal(h)
		if err != nil {
			return err
		}
		w.Puts = append(w.Puts, store.Doc{Kind: kindHead, Name: who, Rev: doc.Rev, Updated: now, Body: body})
		if _, err = a.Store.Commit(ctx, w); !errs.Is(err, errs.Conflict) || ctx.Err() != nil || i >= attempts {
			return err
		}
	}
}

// written is one change of a grant: what is over, and waits for nothing, moves to the past.
func written(g grant.Grant, rev int64, typ, actor, reason string, now time.Time) (store.Write, error) {
	_, name, err := grantName(g.ID)
	if err != nil {
		return store.Write{}, err
	}
	e, err := audit.New(now, typ, actor, "grant/"+g.ID, map[string]any{"who": g.Who, "role": g.Role, "service": g.Service, "ring": g.Ring, "minutes": g.Minutes,
		"until": g.Until, "reason": g.Reason, "said": reason, "digest": g.Digest(), "emergency": g.Emergency, "incident": g.Incident, "waitsFor": g.Missing, "auto": g.Auto})
	if err != nil {
		return store.Write{}, err
	}
	g.Missing = ""
	body, err := json.Marshal(g)
	if err != nil {
		return store.Write{}, err
	}
	w := store.Write{Events: []audit.Event{e}}
	if g.State == grant.Over && (g.Review.IsZero() || g.Reviewed != "") {
		w.Puts = append(w.Puts, store.Doc{Kind: KindPast, Name: name, Updated: now, Body: body})
		if rev > 0 {
			w.Deletes = append(w.Deletes, store.Doc{Kind: KindGrant, Name: name, Rev: rev})
		}
		return w, nil
	}
	w.Puts = append(w.Puts, store.Doc{Kind: KindGrant, Name: name, Rev: rev, Updated: now, Body: body})
	return w, nil
}

// mine are somebody's grants that are not past; everybody's when who is "".
func (a *Authority) mine(ctx context.Context, kind, who string) ([]grant.Grant, []int64, error) {
	prefix := ""
	if who != "" {
		prefix = who + "/"
	}
	var all []grant.Grant
	var revs []int64
	for after := ""; ; {
		docs, err := a.Store.List(ctx, store.Page{Kind: kind, Prefix: prefix, After: after})
		if err != nil || len(docs) == 0 {
			return all, revs, err
		}
		for _, d := range docs {
			g, err := decode[grant.Grant](d)
			if err != nil {
				return nil, nil, err
			}
			all, revs = append(all, g), append(revs, d.Rev)
		}
		after = docs[len(docs)-1].Name
	}
}

// Request asks for access. One that holds already and gives as much is answered instead of another.
func (a *Authority) Request(ctx context.Context, p policy.Principal, w grant.Wish, now time.Time) (grant.Grant, error) {
	l, err := a.load(ctx)
	if err != nil {
		return grant.Grant{}, err
	}
	known := grant.Known{Groups: l.of[p.Name], Labels: l.labels[w.Service]}
	if a.OnCall != nil {
		if known.OnCall, err = a.OnCall(ctx, p.Name, w.Service); err != nil {
			return grant.Grant{}, err
		}
	}
	g, err := grant.Ask(l.access, p, w, known, now)
	if err != nil {
		return g, err
	}
	g.Missing = g.Waits(l.groups)
	err = a.changing(ctx, p.Name, now, func(next int) (store.Write, bool, error) {
		have, _, err := a.mine(ctx, KindGrant, p.Name)
		for _, h := range have {
			if h.Role == g.Role && h.Service == g.Service && h.Ring == g.Ring && !h.Emergency && (h.State == grant.Asked || h.Holds(now)) {
				h.Missing = h.Waits(l.groups)
				g = h
				return store.Write{}, false, nil
			}
		}
		if err != nil {
			return store.Write{}, false, err
		}
		g.ID = fmt.Sprintf("%s-%d", p.Name, next)
		typ := "grant.requested"
		if g.State == grant.Active {
			typ = "grant.given"
		}
		w, err := written(g, 0, typ, p.Actor(), "", now)
		return w, true, err
	})
	return g, err
}

// BreakGlass gives emergency access at once, loudly.
func (a *Authority) BreakGlass(ctx context.Context, p policy.Principal, reason string, now time.Time) (grant.Grant, error) {
	l, err := a.load(ctx)
	if err != nil {
		return grant.Grant{}, err
	}
	if !l.mayBreakGlass(p) {
		return grant.Grant{}, errs.E(errs.Denied, "%s may not break glass", p.Name).Next("The access rules say who may: spec.emergency.")
	}
	g, err := grant.Break(*l.access.Emergency, p.Name, reason, now)
	if err != nil {
		return g, err
	}
	err = a.changing(ctx, p.Name, now, func(next int) (store.Write, bool, error) {
		g.ID = fmt.Sprintf("%s-%d", p.Name, next)
		w, err := written(g, 0, "grant.emergency", p.Actor(), reason, now)
		return w, true, err
	})
	if err == nil {
		a.alarm(ctx, g, "GlassBroken", p.Name+" broke glass: "+reason)
	}
	return g, err
}

func (a *Authority) alarm(ctx context.Context, g grant.Grant, name, summary string) {
	a.Logger.Warn(summary, "grant", g.ID)
	if a.Alarm == nil {
		return
	}
	if err := a.Alarm(ctx, name, g.ID, summary); err != nil {
		a.Logger.Error("an alert of access could not be sent", "err", err)
	}
}

// edit changes one grant.
func (a *Authority) edit(ctx context.Context, id, typ, actor, reason string, now time.Time, change func(grant.Grant, *loaded) (grant.Grant, error)) (grant.Grant, error) {
	var g grant.Grant
	who, name, err := grantName(id)
	if err != nil {
		return g, err
	}
	l, err := a.load(ctx)
	if err != nil {
		return g, err
	}
	err = a.changing(ctx, who, now, func(int) (store.Write, bool, error) {
		doc, err := a.Store.Get(ctx, KindGrant, name)
		if errs.Is(err, errs.Missing) {
			return store.Write{}, false, errs.E(errs.Missing, "there is no grant %.100q, or it is over", id).Next("List them: ringfence access list --past")
		} else if err != nil {
			return store.Write{}, false, err
		}
		is, err := decode[grant.Grant](doc)
		if err != nil {
			return store.Write{}, false, err
		}
		if g, err = change(is, l); err != nil {
			return store.Write{}, false, final{err}
		}
		told := typ
		if typ == "grant.approved" && g.State == grant.Active {
			told = "grant.given"
		}
		w, err := written(g, doc.Rev, told, actor, reason, now)
		return w, false, err
	})
	if f, ok := err.(final); ok {
		err = f.error
	}
	return g, err
}

// Decided takes somebody's word on a grant that is asked for.
func (a *Authority) Decided(ctx context.Context, actor, id string, said rollout.Consent, now time.Time) (grant.Grant, error) {
	if !said.Refuse {
		return a.edit(ctx, id, "grant.approved", actor, said.Reason, now, func(g grant.Grant, l *loaded) (grant.Grant, error) {
			return g.Approve(actor, said, l.groups, now)
		})
	}
	return a.edit(ctx, id, "grant.refused", actor, said.Reason, now, func(g grant.Grant, _ *loaded) (grant.Grant, error) {
		if g.State != grant.Asked {
			return g, errs.E(errs.Conflict, "%s is %s", g.ID, g.State).Next("End it: ringfence access revoke %s", g.ID)
		}
		return g.End(actor, "refused: "+said.Reason, now), nil
	})
}

// Revoke ends a grant at once, or takes a wish back.
func (a *Authority) Revoke(ctx context.Context, actor, id, reason string, now time.Time) (grant.Grant, error) {
	return a.edit(ctx, id, "grant.ended", actor, reason, now, func(g grant.Grant, _ *loaded) (grant.Grant, error) {
		if g.State == grant.Over {
			return g, errs.E(errs.Conflict, "%s is over", g.ID)
		}
		return g.End(actor, "revoked: "+reason, now), nil
	})
}

// ReviewGlass records what the review of an emergency found. Nobody reviews their own.
func (a *Authority) ReviewGlass(ctx context.Context, actor, id, finding string, now time.Time) (grant.Grant, error) {
	if strings.TrimSpace(finding) == "" {
		return grant.Grant{}, errs.E(errs.Invalid, "finding: missing, expected what the review found")
	}
	return a.edit(ctx, id, "grant.reviewed", actor, finding, now, func(g grant.Grant, _ *loaded) (grant.Grant, error) {
		switch {
		case !g.Emergency:
			return g, errs.E(errs.Conflict, "%s is no emergency", g.ID)
		case "user:"+g.Who == actor:
			return g, errs.E(errs.Denied, "%s broke the glass, and cannot review it", g.Who).Next("Ask someone else to review it.")
		}
		g.Reviewed, g.Finding = actor, finding
		return g, nil
	})
}

// Grants are those that are asked for, hold or wait for a review; with past, also those that are over. Newest first.
func (a *Authority) Grants(ctx context.Context, past bool, now time.Time) ([]grant.Grant, error) {
	l, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	all, _, err := a.mine(ctx, KindGrant, "")
	if err == nil && past {
		var over []grant.Grant
		over, _, err = a.mine(ctx, KindPast, "")
		all = append(all, over...)
	}
	for i := range all {
		all[i].Missing = all[i].Waits(l.groups)
		if all[i].State == grant.Active && !all[i].Holds(now) {
			all[i].State = grant.Over
		}
	}
	slices.SortStableFunc(all, func(x, y grant.Grant) int { return y.Asked.Compare(x.Asked) })
	if all == nil {
		all = []grant.Grant{}
	}
	return all, err
}
