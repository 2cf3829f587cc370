package contract

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// Store keeps documents and the record.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
}

// Catalog holds what people declared, and releases.
type Catalog interface {
	Get(ctx context.Context, kind, name string) (resource.Resource, error)
	Release(ctx context.Context, service, version string) (resource.Release, error)
}

// Comparer knows what interfaces say. Breaks are what callers of before would notice of after.
type Comparer interface {
	Breaks(ctx context.Context, format, before, after string) ([]Found, error) // digests of documents
}

// Found is a way in which an interface breaks another.
type Found struct {
	Operation string
	Removed   bool
	Text      string
}

// Options of a Keeper.
type Options struct {
	Store    Store
	Catalog  Catalog
	Comparer Comparer
	Metrics  Metrics                                                     // nil: nobody knows who calls
	Served   func(ctx context.Context, service string) ([]string, error) // versions that users may get now
	Now      func() time.Time
}

// Keeper keeps contracts.
type Keeper struct{ Options }

// New makes a keeper.
func New(o Options) *Keeper {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Keeper{o}
}

// KindApprovals is the kind of the documents that hold the breaks that people approved, named by their service.
const KindApprovals = "InterfaceApprovals"

const mostApprovals = 500

// Approval lets one version break an operation.
type Approval struct {
	Version   string    `json:"version"`
	Operation string    `json:"operation" doc:"* for every one"`
	Reason    string    `json:"reason"`
	By        string    `json:"by"`
	At        time.Time `json:"at"`
}

// Break is a way in which a release breaks what is served.
type Break struct {
	Operation string    `json:"operation" doc:"empty when it concerns all"`
	Removed   bool      `json:"removed,omitempty" doc:"the operation is gone"`
	Text      string    `json:"text" doc:"what callers would notice"`
	Of        string    `json:"of" doc:"the served version whose callers would"`
	Callers   []Caller  `json:"callers,omitempty" doc:"who called it within the window, the latest first"`
	Approved  *Approval `json:"approved,omitempty"`
	Stops     bool      `json:"stops" doc:"somebody may be hurt, and nobody approved it"`
	Why       string    `json:"why" doc:"why it stops the release, or does not"`
}

// Report is what came of comparing a release with what is served.
type Report struct {
	Service string                 `json:"service"`
	Version string                 `json:"version"`
	Rule    resource.InterfaceRule `json:"rule"`
	Against []string               `json:"against" doc:"served versions that it was compared with"`
	Breaks  []Break                `json:"breaks"`
	Known   bool                   `json:"known" doc:"calls were counted over the whole window"`
	Passes  bool                   `json:"passes" doc:"no break stops it, or the rule does not refuse"`
}

// Check compares a release with what is served.
func (k *Keeper) Check(ctx context.Context, service, version string) (Report, error) {
	rule, err := k.rule(ctx, service)
	if err != nil {
		return Report{}, err
	}
	out := Report{Service: service, Version: version, Rule: rule, Against: []string{}, Breaks: []Break{}, Passes: true}
	next, err := k.Catalog.Release(ctx, service, version)
	if err != nil {
		return Report{}, err
	}
	served, err := k.Served(ctx, service)
	if err != nil {
		return Report{}, err
	}
	for _, v := range served {
		if v == version {
			continue
		}
		before, err := k.Catalog.Release(ctx, service, v)
		if err != nil {
			return Report{}, err
		}
		if before.Interface == nil {
			continue
		}
		out.Against = append(out.Against, v)
		found, err := k.compare(ctx, before, next)
		if err != nil {
			return Report{}, err
		}
		for _, f := range found {
			if !slices.ContainsFunc(out.Breaks, func(b Break) bool { return b.Operation == f.Operation && b.Text == f.Text }) {
				out.Breaks = append(out.Breaks, Break{Operation: f.Operation, Removed: f.Removed, Text: f.Text, Of: v})
			}
		}
	}
	if len(out.Breaks) == 0 {
		return out, nil
	}
	return k.weigh(ctx, out)
}

// compare finds the breaks between two releases.
func (k *Keeper) compare(ctx context.Context, before, next resource.Release) ([]Found, error) {
	switch {
	case next.Interface == nil:
		return []Found{{Text: fmt.Sprintf("%s carries no interface, and %s does: nobody knows what it breaks", next.Version, before.Version)}}, nil
	case next.Interface.Format != before.Interface.Format:
		return []Found{{Text: fmt.Sprintf("the interface is %s, and that of %s is %s", next.Interface.Format, before.Version, before.Interface.Format)}}, nil
	case next.Interface.Digest == before.Interface.Digest:
		return nil, nil
	}
	return k.Comparer.Breaks(ctx, next.Interface.Format, before.Interface.Digest, next.Interface.Digest)
}

// weigh says of each break whom it hurts.
func (k *Keeper) weigh(ctx context.Context, out Report) (Report, error) {
	calls, known, err := k.Calls(ctx, out.Service, out.Rule.Window.D(0))
	if err != nil {
		return out, err
	}
	out.Known = known
	approvals, _, err := k.approvals(ctx, out.Service)
	if err != nil {
		return out, err
	}
	window := out.Rule.Window.String()
	for i := range out.Breaks {
		b := &out.Breaks[i]
		for _, c := range calls {
			if b.Operation != "" && (c.Operation == b.Operation || c.Operation == "") { // of a version without an interface it is not known what was asked for
				b.Callers = append(b.Callers, c.Caller)
			}
		}
		for _, a := range approvals {
			if a.Version == out.Version && (a.Operation == b.Operation || a.Operation == "*") {
				b.Approved = &a
			}
		}
		switch {
		case b.Approved != nil:
			b.Why = fmt.Sprintf("%s approved it: %s", b.Approved.By, b.Approved.Reason)
		case b.Operation == "":
			b.Stops, b.Why = true, "it may concern every caller"
		case len(b.Callers) > 0:
			b.Stops, b.Why = true, fmt.Sprintf("%s called it %s ago", b.Callers[0].name(), k.Now().Sub(b.Callers[0].Last).Round(time.Second))
		case !known:
			b.Stops, b.Why = true, "calls were not counted over all of the last "+window
		default:
			b.Why = "nobody called it within the last " + window
		}
		out.Passes = out.Passes && (!b.Stops || out.Rule.Rule != "refuse")
	}
	return out, nil
}

// Refuse is an error when a release must not be rolled out, and is recorded when it breaks anything that somebody calls.
func (k *Keeper) Refuse(ctx context.Context, actor, service, version string) error {
	rule, err := k.rule(ctx, service)
	if err != nil || rule.Rule == "off" {
		return err
	}
	r, err := k.Check(ctx, service, version)
	if err != nil {
		return err
	}
	stops := slices.DeleteFunc(slices.Clone(r.Breaks), func(b Break) bool { return !b.Stops })
	if len(stops) == 0 {
		return nil
	}
	typ := "interface.warned"
	if !r.Passes {
		typ = "interface.refused"
	}
	e, err := audit.New(k.Now(), typ, actor, "release/"+resource.ReleaseName(service, version), map[string]any{"breaks": stops[:min(len(stops), 50)]})
	if err != nil {
		return err
	}
	if _, err := k.Store.Commit(ctx, store.Write{Events: []audit.Event{e}}); err != nil || r.Passes {
		return err
	}
	var said []string
	for _, b := range stops[:min(len(stops), 10)] {
		said = append(said, strings.TrimSpace(fmt.Sprintf("%s %s (%s)", b.Operation, b.Text, b.Why)))
	}
	if more := len(stops) - len(said); more > 0 {
		said = append(said, fmt.Sprintf("and %d more", more))
	}
	return errs.E(errs.Conflict, "%s %s breaks what %s callers rely on: %s", service, version, strings.Join(r.Against, ", "), strings.Join(said, "; ")).
		Next("see: ringfence interface check %s %s; approve one by: ringfence interface approve %s %s OPERATION --reason …", service, version, service, version)
}

// Approve lets a version break an operation. Doing it again changes nothing.
func (k *Keeper) Approve(ctx context.Context, actor, service, version, operation, reason string) (Approval, error) {
	a := Approval{Version: version, Operation: operation, Reason: strings.TrimSpace(reason), By: actor, At: k.Now().UTC()}
	if a.Reason == "" {
		return a, errs.E(errs.Invalid, "reason: missing, expected why callers may lose %s", operation)
	}
	if operation == "" {
		return a, errs.E(errs.Invalid, "operation: missing, expected one such as GET /products/{id}, or * for every break of %s", version)
	}
	if _, err := k.Catalog.Release(ctx, service, version); err != nil {
		return a, err
	}
	all, rev, err := k.approvals(ctx, service)
	if err != nil {
		return a, err
	}
	if i := slices.IndexFunc(all, func(o Approval) bool { return o.Version == version && o.Operation == operation }); i >= 0 {
		return all[i], nil
	}
	all = append(all, a)
	body, err := json.Marshal(all[max(0, len(all)-mostApprovals):])
	if err != nil {
		return a, err
	}
	e, err := audit.New(a.At, "interface.approved", actor, "release/"+resource.ReleaseName(service, version), a)
	if err != nil {
		return a, err
	}
	_, err = k.Store.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: KindApprovals, Name: service, Rev: rev, Body: body}}, Events: []audit.Event{e}})
	return a, err
}

func (k *Keeper) approvals(ctx context.Context, service string) ([]Approval, int64, error) {
	doc, err := k.Store.Get(ctx, KindApprovals, service)
	if errs.Is(err, errs.Missing) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	var all []Approval
	return all, doc.Rev, json.Unmarshal(doc.Body, &all)
}

func (k *Keeper) rule(ctx context.Context, service string) (resource.InterfaceRule, error) {
	r, err := k.Catalog.Get(ctx, resource.KindService, service)
	if err != nil {
		return resource.InterfaceRule{}, err
	}
	spec, err := resource.As[resource.Service](r)
	if err != nil {
		return resource.InterfaceRule{}, err
	}
	return *spec.Defaults().Interface, nil
}
