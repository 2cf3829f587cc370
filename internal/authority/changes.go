package authority

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// KindProposal are documents of changes of policy that were asked for.
const KindProposal = "PolicyChange"

// The states of a proposal.
const (
	Open    = "open"
	Applied = "applied"
	Refused = "refused"
)

// Catalog changes what is declared. Try says what applying a set would do, and whether it is right. Change applies a set
// and deletes others, in one write with more, whoever has to approve.
type Catalog interface {
	Try(ctx context.Context, actor string, now time.Time, set []resource.Resource) ([]resource.Resource, error)
	Change(ctx context.Context, actor string, now time.Time, set, gone []resource.Resource, also store.Write) error
}

// Proposal is a change of policy that waits for approval, or was decided on.
type Proposal struct {
	ID       string              `json:"id" doc:"policy-number"`
	Set      []resource.Resource `json:"set,omitempty" doc:"what is to be, in canonical form"`
	Gone     []resource.Resource `json:"gone,omitempty" doc:"what is not to be any more"`
	Digest   string              `json:"digest" doc:"stands for what is approved, and what it replaces: send it with the approval"`
	Reason   string              `json:"reason"`
	By       string              `json:"by"`
	At       time.Time           `json:"at"`
	State    string              `json:"state" enum:"open,applied,refused"`
	Approved []rollout.Approved  `json:"approved,omitempty"`
	Ended    time.Time           `json:"ended,omitzero"`
	Missing  string              `json:"missing,omitempty" doc:"whose approval it waits for"`
	Stale    bool                `json:"stale,omitempty" doc:"what it replaces was changed meanwhile"`
}

// subject is the proposal in events.
func (p Proposal) subject() string { return "policy/" + p.ID }

// proposed is the data of events of proposals.
type proposed struct {
	Resources []string `json:"resources" doc:"what is changed, as kind/name"`
	Digest    string   `json:"digest"`
	Reason    string   `json:"reason,omitempty"`
}

func (p Proposal) data(reason string) proposed {
	d := proposed{Digest: p.Digest, Reason: reason}
	for _, r := range append(p.Set[:len(p.Set):len(p.Set)], p.Gone...) {
		d.Resources = append(d.Resources, r.Key())
	}
	return d
}

// governs are the kinds that change only with approval where one is asked: policies, access rules, and the groups that these
// name, whose members are who decides.
func governs(rules resource.AccessRules, r resource.Resource) bool {
	switch r.Kind {
	case resource.KindAccessPolicy, resource.KindAccessRules:
		return true
	case resource.KindGroup:
		names := rules.Changes.Named()
		for _, g := range rules.Grants {
			names = append(names, g.Who...)
			if g.Approval != nil {
				names = append(names, g.Approval.Named()...)
			}
		}
		if rules.Emergency != nil {
			names = append(names, rules.Emergency.Who...)
		}
		return slices.Contains(names, r.Metadata.Name)
	}
	return false
}

// Governed says why a set changes only with approval; nil when it does not.
func (a *Authority) Governed(there, set []resource.Resource) error {
	for _, r := range there {
		rules, err := resource.As[resource.AccessRules](r)
		if err != nil || rules.Changes == nil {
			continue
		}
		for _, one := range set {
			if governs(rules, one) {
				return errs.E(errs.Denied, "%s changes only with approval", one.Key()).Next("Ask for it: ringfence policy propose -f FILE --reason REASON")
			}
		}
	}
	return nil
}

// Propose asks for a change of policy. Where nobody has to approve it, it is applied at once.
func (a *Authority) Propose(ctx context.Context, actor string, set, gone []resource.Resource, reason string, now time.Time) (Proposal, error) {
	if strings.TrimSpace(reason) == "" {
		return Proposal{}, errs.E(errs.Invalid, "reason: missing, expected why policy is to change")
	}
	l, err := a.load(ctx)
	if err != nil {
		return Proposal{}, err
	}
	if set, err = a.Catalog.Try(ctx, actor, now, set); err != nil {
		return Proposal{}, err
	}
	p := Proposal{Set: set, Gone: gone, Reason: reason, By: actor, At: now.UTC(), State: Open}
	for _, r := range append(set[:len(set):len(set)], gone...) {
		if r.Kind != resource.KindAccessPolicy && r.Kind != resource.KindAccessRules && r.Kind != resource.KindGroup {
			return p, errs.E(errs.Invalid, "%s is no matter of policy", r.Key()).Next("Apply it: ringfence apply -f FILE")
		}
	}
	if p.Digest, err = a.digest(ctx, p); err != nil {
		return p, err
	}
	all, err := a.Proposals(ctx)
	if err != nil {
		return p, err
	}
	for _, one := range all {
		if one.State == Open && one.By == actor && one.Digest == p.Digest {
			return one, nil
		}
	}
	p.ID = fmt.Sprintf("policy-%d", len(all)+1)
	if l.access.Changes == nil {
		return a.settle(ctx, actor, p, 0, now)
	}
	p.Missing = rollout.Unapproved(*l.access.Changes, p.By, nil, l.groups)
	return p, a.keep(ctx, p, 0, "policy.requested", actor, reason, now)
}

// digest stands for a proposal and for what it replaces.
func (a *Authority) digest(ctx context.Context, p Proposal) (string, error) {
	var before []store.Doc
	for _, r := range append(p.Set[:len(p.Set):len(p.Set)], p.Gone...) {
		doc, err := a.Store.Get(ctx, r.Kind, r.Metadata.Name)
		if err != nil && !errs.Is(err, errs.Missing) {
			return "", err
		}
		before = append(before, store.Doc{Kind: doc.Kind, Name: doc.Name, Body: doc.Body})
	}
	raw, err := json.Marshal([]any{p.Set, p.Gone, before, p.By})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:12]), nil
}

func proposalName(id string) string {
	n := strings.TrimPrefix(id, "policy-")
	return fmt.Sprintf("%09s", n[:min(len(n), 9)])
}

func (a *Authority) keep(ctx context.Context, p Proposal, rev int64, typ, actor, reason string, now time.Time) error {
	w, err := p.write(rev, typ, actor, reason, now)
	if err == nil {
		_, err = a.Store.Commit(ctx, w)
	}
	return err
}

func (p Proposal) write(rev int64, typ, actor, reason string, now time.Time) (store.Write, error) {
	p.Missing, p.Stale = "", false
	body, err := json.Marshal(p)
	if err != nil {
		return store.Write{}, err
	}
	e, err := audit.New(now, typ, actor, p.subject(), p.data(reason))
	return store.Write{Puts: []store.Doc{{Kind: KindProposal, Name: proposalName(p.ID), Rev: rev, Updated: now, Body: body}}, Events: []audit.Event{e}}, err
}

// Proposals are all changes of policy that were asked for, newest first, with whom they wait for.
func (a *Authority) Proposals(ctx context.Context) ([]Proposal, error) {
	l, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	all := []Proposal{}
	for after := ""; ; {
		docs, err := a.Store.List(ctx, store.Page{Kind: KindProposal, After: after})
		if err != nil {
			return nil, err
		}
		if len(docs) == 0 {
			break
		}
		for _, d := range docs {
			p, err := decode[Proposal](d)
			if err != nil {
				return nil, err
			}
			if err := a.look(ctx, l, &p); err != nil {
				return nil, err
			}
			all = append(all, p)
		}
		after = docs[len(docs)-1].Name
	}
	slices.Reverse(all)
	return all, nil
}

// look says whom an open proposal waits for now, and whether it is of what is there.
func (a *Authority) look(ctx context.Context, l *loaded, p *Proposal) error {
	if p.State != Open {
		return nil
	}
	is, err := a.digest(ctx, *p)
	if err != nil {
		return err
	}
	p.Stale = is != p.Digest
	if l.access.Changes != nil {
		p.Missing = rollout.Unapproved(*l.access.Changes, p.By, approvers(*p), l.groups)
	}
	return nil
}

func approvers(p Proposal) []string {
	var by []string
	for _, one := range p.Approved {
		by = append(by, one.By)
	}
	return by
}

// attempts bounds how often a decision is made again because another one was faster: as often as people race.
const attempts = 200

// Review approves a proposal, or refuses it. The digest says what was seen. The last approval that is missing applies it.
func (a *Authority) Review(ctx context.Context, actor, id string, said rollout.Consent, now time.Time) (Proposal, error) {
	for i := 0; ; i++ {
		p, err := a.review(ctx, actor, id, said, now)
		if !errs.Is(err, errs.Conflict) || i >= attempts || ctx.Err() != nil || isFinal(err) {
			return p, err
		}
	}
}

// final is a conflict that trying again does not get over.
type final struct{ error }

func isFinal(err error) bool { _, ok := err.(final); return ok }

func (f final) Unwrap() error { return f.error }

func (a *Authority) review(ctx context.Context, actor, id string, said rollout.Consent, now time.Time) (Proposal, error) {
	doc, err := a.Store.Get(ctx, KindProposal, proposalName(id))
	if errs.Is(err, errs.Missing) {
		return Proposal{}, errs.E(errs.Missing, "there is no change of policy %.60q", id).Next("List them: ringfence policy changes")
	} else if err != nil {
		return Proposal{}, err
	}
	p, err := decode[Proposal](doc)
	if err != nil {
		return p, err
	}
	l, err := a.load(ctx)
	if err == nil {
		err = a.look(ctx, l, &p)
	}
	if err != nil {
		return p, err
	}
	switch {
	case p.State != Open:
		return p, final{errs.E(errs.Conflict, "%s is %s", p.ID, p.State)}
	case said.Digest != p.Digest:
		return p, final{errs.E(errs.Conflict, "%s has the digest %s, not %.40q: what was seen is not what it is", p.ID, p.Digest, said.Digest).Next("Look at it: ringfence policy changes %s", p.ID)}
	case said.Refuse:
		p.State, p.Ended = Refused, now.UTC()
		return p, a.keep(ctx, p, doc.Rev, "policy.refused", actor, said.Reason, now)
	case p.Stale:
		return p, final{errs.E(errs.Conflict, "what %s replaces was changed since it was asked for", p.ID).Next("Refuse it, and have it asked for again.")}
	}
	approval := cmp.Or(l.access.Changes, &resource.Approval{})
	if err := mayApprove(*approval, p.By, actor, l.groups); err != nil {
		return p, err
	}
	if !slices.Contains(approvers(p), actor) {
		p.Approved = append(p.Approved, rollout.Approved{By: actor, At: now.UTC(), Why: said.Reason})
	}
	if p.Missing = rollout.Unapproved(*approval, p.By, approvers(p), l.groups); p.Missing != "" {
		return p, a.keep(ctx, p, doc.Rev, "policy.approved", actor, said.Reason, now)
	}
	return a.settle(ctx, actor, p, doc.Rev, now)
}

// mayApprove says why somebody's approval does not count.
func mayApprove(a resource.Approval, author, actor string, groups map[string][]string) error {
	name := strings.TrimPrefix(actor, "user:")
	if !a.Own && actor == author {
		return errs.E(errs.Denied, "%s asked for it, and cannot approve it too", name).Next("Ask someone else to approve it.")
	}
	named := a.Named()
	if len(named) == 0 || slices.ContainsFunc(named, func(g string) bool { return slices.Contains(groups[g], name) }) {
		return nil
	}
	return errs.E(errs.Denied, "%s is in none of the groups that approve: %s", name, strings.Join(named, ", "))
}

// settle applies what is approved, in the write that says so: of two who give the last approval at once, one does.
func (a *Authority) settle(ctx context.Context, actor string, p Proposal, rev int64, now time.Time) (Proposal, error) {
	p.State, p.Ended, p.Missing = Applied, now.UTC(), ""
	w, err := p.write(rev, "policy.changed", actor, p.Reason, now)
	if err != nil {
		return p, err
	}
	return p, a.Catalog.Change(ctx, actor, now, p.Set, p.Gone, w)
}

// Reset restores the default rules: every policy and the access rules go, whatever they say and whoever would have to
// approve. What they were is on the record, from which they can be applied again.
func (a *Authority) Reset(ctx context.Context, actor, reason string, now time.Time) ([]resource.Resource, error) {
	var gone []resource.Resource
	var err error
	for _, kind := range []string{resource.KindAccessPolicy, resource.KindAccessRules} {
		if gone, err = a.declared(ctx, kind, gone); err != nil {
			return nil, err
		}
	}
	e, err := audit.New(now, "policy.reset", actor, "policy/default", Proposal{Gone: gone}.data(reason))
	if err != nil {
		return nil, err
	}
	a.Logger.Warn("the default rules of access were restored", "by", actor, "gone", len(gone))
	return gone, a.Catalog.Change(ctx, actor, now, nil, gone, store.Write{Events: []audit.Event{e}})
}

// Standing is what holds now: the texts of rules, how people get access, and what is wrong with it.
type Standing struct {
	Sources []policy.Source      `json:"sources" doc:"the default rules, and those of one's own"`
	Access  resource.AccessRules `json:"access"`
	Faults  []policy.Fault       `json:"faults,omitempty" doc:"what is wrong with the rules, which denies everything"`
}

// Standing says what holds now.
func (a *Authority) Standing(ctx context.Context) (Standing, error) {
	l, err := a.load(ctx)
	if err != nil {
		return Standing{}, err
	}
	return Standing{Sources: l.sources, Access: l.access, Faults: l.faults}, nil
}
