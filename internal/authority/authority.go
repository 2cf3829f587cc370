package authority

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// Store keeps what is declared, what is asked for, and the record.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
}

// World knows what goes on around a resource: which service and ring it is about, whether an incident is open, whether a
// freeze holds. What it does not find it leaves as it is.
type World interface {
	Situation(ctx context.Context, r policy.Resource, now time.Time) (policy.Resource, policy.Circumstances, error)
}

// Remote is another one who decides.
type Remote interface {
	Ask(ctx context.Context, at resource.RemotePolicy, q policy.Request) error
}

// Compile makes rules of texts, given the members of declared groups.
type Compile func(sources []policy.Source, groups map[string][]string) (policy.Rules, []policy.Fault)

// Options configure an authority.
type Options struct {
	Store   Store
	Compile Compile
	World   World  // nil: rules are told nothing of incidents, freezes and rings
	Remote  Remote // nil: rules that name one deny
	Catalog Catalog
	People  func(ctx context.Context) ([]policy.Principal, error)        // who is known, with the role that is theirs
	OnCall  func(ctx context.Context, who, service string) (bool, error) // whether somebody is on call for a service; nil: nobody is
	Hurting func(ctx context.Context) ([]Hurt, error)                    // incidents that are not resolved; nil: none
	Alarm   func(ctx context.Context, name, grant, summary string) error // sends an alert; nil: only the log is told
	Head    store.Doc                                                    // kind and name of the document that every change of what is declared replaces
	Logger  *slog.Logger
	Now     func() time.Time // default time.Now
}

// Authority decides. All its methods may be called at the same time.
type Authority struct {
	Options

	mu   sync.Mutex
	last *loaded // as of the newest revision that was seen
}

// New makes an authority.
func New(o Options) *Authority {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Authority{Options: o}
}

// loaded is what is declared, as it counts for decisions.
type loaded struct {
	rev     int64
	rules   policy.Rules
	faults  []policy.Fault
	sources []policy.Source
	access  resource.AccessRules
	groups  map[string][]string          // members by group
	of      map[string][]string          // groups by member
	labels  map[string]map[string]string // by service
	owners  map[string]string            // by service
	asks    bool                         // rules ask for what goes on around a resource
}

// load gives what is declared now. Finding that nothing changed takes one look at the store.
func (a *Authority) load(ctx context.Context) (*loaded, error) {
	head, err := a.Store.Get(ctx, a.Head.Kind, a.Head.Name)
	if err != nil && !errs.Is(err, errs.Missing) {
		return nil, errs.Wrap(errs.KindOf(err), err, "cannot tell who may do what")
	}
	a.mu.Lock()
	last := a.last
	a.mu.Unlock()
	if last != nil && last.rev == head.Rev {
		return last, nil
	}
	var set []resource.Resource
	for _, kind := range []string{resource.KindAccessPolicy, resource.KindAccessRules, resource.KindGroup, resource.KindService} {
		if set, err = a.declared(ctx, kind, set); err != nil {
			return nil, err
		}
	}
	l := a.compiled(set)
	l.rev = head.Rev
	if len(l.faults) > 0 {
		a.Logger.Error("the rules of access cannot be used, which denies everything: restore the default ones with ringfence policy reset", "fault", l.faults[0].String())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last == nil || a.last.rev < l.rev {
		a.last = l
	}
	return l, nil
}

func (a *Authority) declared(ctx context.Context, kind string, set []resource.Resource) ([]resource.Resource, error) {
	for after := ""; ; {
		docs, err := a.Store.List(ctx, store.Page{Kind: kind, After: after})
		if err != nil || len(docs) == 0 {
			return set, err
		}
		for _, d := range docs {
			r, err := decode[resource.Resource](d)
			if err != nil {
				return set, err
			}
			set = append(set, r)
		}
		after = docs[len(docs)-1].Name
	}
}

// compiled reads from everything declared what counts for decisions.
func (a *Authority) compiled(set []resource.Resource) *loaded {
	l := &loaded{groups: map[string][]string{}, of: map[string][]string{}, labels: map[string]map[string]string{}, owners: map[string]string{},
		sources: []policy.Source{policy.Defaults()}, access: resource.AccessRules{}.Defaults()}
	for _, r := range set {
		switch r.Kind {
		case resource.KindGroup:
			if g, err := resource.As[resource.Group](r); err == nil {
				l.groups[r.Metadata.Name] = g.Members
				for _, m := range g.Members {
					l.of[m] = append(l.of[m], r.Metadata.Name)
				}
			}
		case resource.KindService:
			l.labels[r.Metadata.Name] = r.Metadata.Labels
			if s, err := resource.As[resource.Service](r); err == nil {
				l.owners[r.Metadata.Name] = s.Owner
			}
		case resource.KindAccessPolicy:
			if p, err := resource.As[resource.AccessPolicy](r); err == nil {
				l.sources = append(l.sources, policy.Source{Name: r.Metadata.Name, Text: p.Rules})
				l.asks = l.asks || asksAround(p.Rules)
			}
		case resource.KindAccessRules:
			if x, err := resource.As[resource.AccessRules](r); err == nil {
				l.access = x.Defaults()
			}
		}
	}
	if l.access.NoStanding {
		l.sources = append(l.sources, noStanding(l.access.Exempt))
	}
	l.rules, l.faults = a.Compile(l.sources, l.groups)
	return l
}

// asksAround says whether rules may ask for more than a request says by itself; that they only speak of it costs a look.
func asksAround(text string) bool {
	return slices.ContainsFunc([]string{"incident", "frozen", "change", "service", "ring", "getTag"}, func(word string) bool { return strings.Contains(text, word) })
}

// Decide answers a request. An error means that nobody can tell now.
func (a *Authority) Decide(ctx context.Context, q policy.Request) (policy.Decision, error) {
	l, err := a.load(ctx)
	if err != nil {
		return policy.Decision{}, err
	}
	if q, err = a.complete(ctx, l, q, l.asks); err != nil {
		return policy.Decision{}, err
	}
	d, err := a.decided(ctx, l, q)
	if err != nil {
		return d, err
	}
	return a.remotely(ctx, l, q, d), nil
}

// decided is by what the principal always may, else by what was granted to them.
func (a *Authority) decided(ctx context.Context, l *loaded, q policy.Request) (policy.Decision, error) {
	d := l.decide(q)
	if d.Allowed || q.Principal.Nobody() || q.Principal.Role == policy.DataPlane || q.Principal.Role == policy.Client {
		return d, nil
	}
	return a.granted(ctx, l, q, d)
}

func (l *loaded) decide(q policy.Request) policy.Decision {
	if len(l.faults) > 0 {
		return policy.Decision{Errors: []string{l.faults[0].String()}, Missing: "the rules of access cannot be used, which denies: " + l.faults[0].String(),
			Next: "Restore the default ones on the control plane's machine: ringfence policy reset"}
	}
	if only := q.Principal.Only; len(only) > 0 && q.Action != policy.Self && !slices.Contains(only, q.Action) {
		return policy.Refused(q) // a token that is narrowed stays so, whatever rules and grants say
	}
	return l.rules.Decide(q)
}

// complete adds to a request what is known here. The world is asked only where the answer may matter.
func (a *Authority) complete(ctx context.Context, l *loaded, q policy.Request, around bool) (policy.Request, error) {
	if q.Now.IsZero() {
		q.Now = a.Now()
	}
	q.Zone, q.Declared = l.access.Zone, l.of[q.Principal.Name]
	if around && a.World != nil {
		r, c, err := a.World.Situation(ctx, q.Resource, q.Now)
		if err != nil && !errs.Is(err, errs.Missing) {
			return q, errs.Wrap(errs.KindOf(err), err, "cannot tell what goes on around %s", q.Resource)
		}
		if err == nil {
			c.Now = q.Now
			q.Resource, q.Circumstances = r, c
		}
	}
	if q.Resource.Labels == nil && q.Resource.Service != "" {
		q.Resource.Labels = l.labels[q.Resource.Service]
	}
	return q, nil
}

// remotely has what is allowed here judged by the remote agent, too.
func (a *Authority) remotely(ctx context.Context, l *loaded, q policy.Request, d policy.Decision) policy.Decision {
	if !d.Allowed || l.access.Remote == nil || q.Principal.Role == policy.DataPlane { // its outage is none of production
		return d
	}
	err := error(errs.E(errs.Unavailable, "there is nobody to ask it"))
	if a.Remote != nil {
		err = a.Remote.Ask(ctx, *l.access.Remote, q)
	}
	if err == nil {
		return d
	}
	return policy.Decision{Rules: d.Rules, Missing: q.Principal.Name + ": the remote policy does not allow this: " + err.Error(), Next: "Ask who keeps the policy at " + l.access.Remote.URL}
}
