package switchboard

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// KindRequest are documents of change requests, by set/number.
const KindRequest = "ChangeRequest"

// The states of a request.
const (
	Open    = "open"
	Applied = "applied"
	Refused = "refused"
)

// Request is an edit that waits for review, or was decided on.
type Request struct {
	ID           string             `json:"id" doc:"set-number"`
	Set          string             `json:"set"`
	Environments []string           `json:"environments" doc:"those whose reviewers are asked"`
	Patch        json.RawMessage    `json:"patch" doc:"a JSON merge patch of the set's spec"`
	Spec         json.RawMessage    `json:"spec,omitempty" doc:"the whole spec, where a patch cannot say it"`
	Changes      []resource.Change  `json:"changes" doc:"the fields that differed when it was made"`
	Reason       string             `json:"reason,omitempty"`
	By           string             `json:"by"`
	At           time.Time          `json:"at"`
	State        string             `json:"state" enum:"open,applied,refused"`
	Approved     []rollout.Approved `json:"approved,omitempty" doc:"approvals given"`
	Ended        time.Time          `json:"ended,omitzero"`
	Missing      string             `json:"missing,omitempty" doc:"whose approval it waits for, as the groups are now"`
	Stale        bool               `json:"stale,omitempty" doc:"the same fields were changed meanwhile"`
}

// Subject is the request in events.
func (r Request) Subject() string { return "change-request/" + r.ID }

// request asks for a review. The same edit by the same author that waits already is answered with that.
func (b *Board) request(ctx context.Context, actor string, e Edit, envs []string, changes []resource.Change, now time.Time) (*Request, error) {
	patch, err := json.Marshal(e.Patch)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "the edit")
	}
	last, err := b.requests(ctx, e.Set)
	if err != nil {
		return nil, err
	}
	for _, r := range last {
		if r.State == Open && r.By == actor && string(r.Patch) == string(patch) && string(r.Spec) == string(e.Spec) {
			return &r, nil
		}
	}
	slices.Sort(envs)
	r := Request{ID: fmt.Sprintf("%s-%d", e.Set, len(last)+1), Set: e.Set, Environments: envs, Patch: patch, Spec: e.Spec, Changes: changes, Reason: e.Reason, By: actor, At: now.UTC(), State: Open}
	if err := b.save(ctx, r, 0, "change.requested", actor, e.Reason, now); err != nil {
		return nil, err
	}
	return &r, b.look(ctx, &r)
}

func requestName(id string) (string, error) {
	i := strings.LastIndexByte(id, '-')
	if i <= 0 || len(id)-i > 9 {
		return "", errs.E(errs.Missing, "there is no change request %q", id)
	}
	return fmt.Sprintf("%s/%08s", id[:i], id[i+1:]), nil
}

func (b *Board) save(ctx context.Context, r Request, rev int64, typ, actor, reason string, now time.Time) error {
	name, err := requestName(r.ID)
	if err != nil {
		return err
	}
	r.Missing, r.Stale = "", false
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	e, err := event(now, typ, actor, r.Subject(), map[string]any{"set": r.Set, "environments": r.Environments, "reason": reason, "changes": r.Changes})
	if err != nil {
		return err
	}
	_, err = b.Store.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: KindRequest, Name: name, Rev: rev, Body: body}}, Events: []audit.Event{e}})
	return err
}

// requests are those of a set, or of all, oldest first.
func (b *Board) requests(ctx context.Context, set string) ([]Request, error) {
	prefix := ""
	if set != "" {
		prefix = set + "/"
	}
	var all []Request
	for after := ""; ; {
		docs, err := b.Store.List(ctx, store.Page{Kind: KindRequest, Prefix: prefix, After: after})
		if err != nil || len(docs) == 0 {
			return all, err
		}
		for _, d := range docs {
			r, err := decode[Request](d)
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
		after = docs[len(docs)-1].Name
	}
}

// Requests lists change requests of a set, or of all, newest first; open says only those that wait.
func (b *Board) Requests(ctx context.Context, set string, open bool) ([]Request, error) {
	all, err := b.requests(ctx, set)
	if err != nil {
		return nil, err
	}
	slices.Reverse(all)
	all = slices.DeleteFunc(all, func(r Request) bool { return open && r.State != Open })
	for i := range all {
		if err := b.look(ctx, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Request returns one change request.
func (b *Board) Request(ctx context.Context, id string) (Request, error) {
	r, _, err := b.read(ctx, id)
	if err != nil {
		return r, err
	}
	return r, b.look(ctx, &r)
}

func (b *Board) read(ctx context.Context, id string) (Request, int64, error) {
	name, err := requestName(id)
	if err != nil {
		return Request{}, 0, err
	}
	doc, err := b.Store.Get(ctx, KindRequest, name)
	if errs.Is(err, errs.Missing) {
		return Request{}, 0, errs.E(errs.Missing, "there is no change request %q", id)
	} else if err != nil {
		return Request{}, 0, err
	}
	r, err := decode[Request](doc)
	return r, doc.Rev, err
}

// look says whom a request waits for now, and whether what it changes has been changed by others.
func (b *Board) look(ctx context.Context, r *Request) error {
	if r.State != Open {
		return nil
	}
	now, doc, err := b.set(ctx, r.Set)
	if err != nil {
		if errs.Is(err, errs.Missing) {
			r.Stale = true
			return nil
		}
		return err
	}
	r.concerns(now, doc)
	if r.Missing, err = b.missing(ctx, *r, doc); err != nil {
		return err
	}
	r.Stale = !r.fits(now)
	return nil
}

// concerns adds the environments that have reviewers by now, or in which the request changes an answer by now.
func (r *Request) concerns(now resource.Resource, doc *flag.Document) {
	after, err := r.on(now)
	if err != nil {
		return
	}
	is, _ := flag.Of(after)
	if is == nil {
		return
	}
	r.Environments = append(slices.Clone(r.Environments), flag.Reviewed(doc, is)...)
	slices.Sort(r.Environments)
	r.Environments = slices.Compact(r.Environments)
}

// on is a set with what the request changes in it.
func (r Request) on(now resource.Resource) (resource.Resource, error) {
	var patch map[string]any
	if err := json.Unmarshal(r.Patch, &patch); err != nil {
		return now, errs.Wrap(errs.Internal, err, "change request %s is damaged", r.ID)
	}
	return Edit{Patch: patch, Spec: r.Spec}.on(now)
}

// fits reports whether the fields that the request changes are still as they were when it was made, or already as it wants them.
func (r Request) fits(now resource.Resource) bool {
	after, err := r.on(now)
	if err != nil {
		return false
	}
	is := resource.Changes(&now, &after)
	if len(is) == 0 {
		return true // it is so already
	}
	return slices.EqualFunc(is, r.Changes, func(a, b resource.Change) bool {
		return a.Path == b.Path && string(a.Old) == string(b.Old) && string(a.New) == string(b.New)
	})
}

// missing says whose approval is missing, of all environments that the request touches.
func (b *Board) missing(ctx context.Context, r Request, doc *flag.Document) (string, error) {
	var given []string
	for _, a := range r.Approved {
		given = append(given, a.By)
	}
	var all []string
	for _, env := range r.Environments {
		approval, ok := doc.Reviewers[env]
		if !ok {
			continue
		}
		groups, err := b.groups(ctx, approval.Named())
		if err != nil {
			return "", err
		}
		if m := rollout.Unapproved(approval, r.By, given, groups); m != "" {
			all = append(all, m+" for "+env)
		}
	}
	return strings.Join(all, " and "), nil
}

func (b *Board) groups(ctx context.Context, names []string) (map[string][]string, error) {
	groups := map[string][]string{}
	for _, name := range names {
		r, err := b.Catalog.Get(ctx, resource.KindGroup, name)
		if err != nil {
			return nil, err
		}
		g, err := resource.As[resource.Group](r)
		if err != nil {
			return nil, err
		}
		groups[name] = g.Members
	}
	return groups, nil
}

// Review approves a request, or refuses it. The last approval that was missing applies it. What others do meanwhile is looked at
// before it counts.
func (b *Board) Review(ctx context.Context, actor, id, reason string, refuse bool, now time.Time) (r Request, err error) {
	for range 20 {
		r, err = b.review(ctx, actor, id, reason, refuse, now)
		if !errs.Is(err, errs.Conflict) || errs.HintOf(err) != "" {
			return r, err
		}
	}
	return r, err
}

func (b *Board) review(ctx context.Context, actor, id, reason string, refuse bool, now time.Time) (Request, error) {
	r, rev, err := b.read(ctx, id)
	if err != nil {
		return r, err
	}
	given := slices.ContainsFunc(r.Approved, func(a rollout.Approved) bool { return a.By == actor })
	switch {
	case r.State == Refused && refuse, r.State == Applied && !refuse && given:
		return r, nil // a retry
	case r.State != Open:
		return r, errs.E(errs.Conflict, "change request %s is %s", id, r.State).Next("make the edit anew")
	}
	before, doc, err := b.set(ctx, r.Set)
	if err != nil {
		return r, err
	}
	r.concerns(before, doc)
	if err := b.may(ctx, actor, r, doc, refuse); err != nil {
		return r, err
	}
	if refuse {
		r.State, r.Ended = Refused, now.UTC()
		return r, b.save(ctx, r, rev, "change.refused", actor, reason, now)
	}
	if !r.fits(before) {
		return r, errs.E(errs.Conflict, "what change request %s changes has been changed meanwhile", id).Next("refuse it, and make the edit anew")
	}
	if !given {
		r.Approved = append(r.Approved, rollout.Approved{By: actor, At: now.UTC(), Why: reason})
	}
	if r.Missing, err = b.missing(ctx, r, doc); err != nil || r.Missing != "" {
		if err == nil && !given {
			err = b.save(ctx, r, rev, "change.approved", actor, reason, now)
		}
		return r, err
	}
	return b.carryOut(ctx, actor, reason, r, rev, before, now)
}

// carryOut applies a request that is approved, in the author's name. The set comes first: should the process end between the two, an
// approval given again finds the fields changed already, and only notes it.
func (b *Board) carryOut(ctx context.Context, actor, reason string, r Request, rev int64, before resource.Resource, now time.Time) (Request, error) {
	after, err := r.on(before)
	if err != nil {
		return r, err
	}
	if len(resource.Changes(&before, &after)) > 0 {
		if err := b.Catalog.Replace(ctx, r.By, now, before, after); err != nil {
			return r, err
		}
	}
	r.State, r.Ended = Applied, now.UTC()
	return r, b.save(ctx, r, rev, "change.applied", actor, reason, now)
}

// may says why an actor must not review a request.
func (b *Board) may(ctx context.Context, actor string, r Request, doc *flag.Document, refuse bool) error {
	if refuse && actor == r.By {
		return nil // to take it back
	}
	name := strings.TrimPrefix(actor, "user:")
	own := false
	for _, env := range r.Environments {
		approval, ok := doc.Reviewers[env]
		if !ok {
			continue
		}
		if actor == r.By && !approval.Own {
			own = true
			continue
		}
		groups, err := b.groups(ctx, approval.Named())
		if err != nil {
			return err
		}
		if len(approval.From) == 0 {
			return nil
		}
		for _, members := range groups {
			if slices.Contains(members, name) {
				return nil
			}
		}
	}
	if own {
		return errs.E(errs.Denied, "%s asked for this change and cannot approve it too", name).Next("ask someone else to approve it")
	}
	return errs.E(errs.Denied, "%s is no reviewer of %s", name, strings.Join(r.Environments, ", "))
}
