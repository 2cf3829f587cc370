// Package plane runs a control plane for tests: the real store, catalog, controller, hub and API, with a data
// plane and metrics that do as they are told. It is imported by tests only.
package plane

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/access/oidc"
	"github.com/ringfence/ringfence/internal/api"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/authority"
	"github.com/ringfence/ringfence/internal/blob"
	"github.com/ringfence/ringfence/internal/catalog"
	"github.com/ringfence/ringfence/internal/cedar"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/controller"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/link"
	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/notify/send"
	"github.com/ringfence/ringfence/internal/pager"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/record"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/sqlite"
)

// Shop declares a service with a plan of two rings.
const Shop = `apiVersion: ringfence.dev/v1
kind: RingPlan
metadata: {name: quick}
spec:
  rings:
    - {name: canary, audience: {users: [alice]}, bake: 1h}
    - {name: all, bake: 1h}
---
apiVersion: ringfence.dev/v1
kind: Service
metadata: {name: shop}
spec:
  owner: team-shop
  run: {command: ["{artifact}", "--listen", "{address}"]}
  route: {host: shop.localhost, targetingKey: {header: X-User-ID}}
  plan: quick
`

// Plane is a running control plane.
type Plane struct {
	Dir        string
	URL        string
	Admin      *client.Client
	Operator   *client.Client
	Viewer     *client.Client
	DataPlane  *client.Client
	Tokens     map[policy.Role]string
	Store      *Store
	Server     *api.Server
	Controller *controller.Controller
	Authority  *authority.Authority
	Hub        *link.Hub
	Record     *record.Ledger
	Interrupt  func() // breaks all connections

	mu      sync.Mutex
	unready map[string]bool // versions that do not become ready
}

// Store tells of what was committed.
type Store struct {
	*sqlite.Store
	mu      sync.Mutex
	changed chan struct{}
}

// Commit stores and tells.
func (s *Store) Commit(ctx context.Context, w store.Write) ([]audit.Event, error) {
	sealed, err := s.Store.Commit(ctx, w)
	if err == nil {
		s.mu.Lock()
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
	}
	return sealed, err
}

// Changed is closed at the next commit.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// NoMetrics sees nothing.
type NoMetrics struct{}

// Counts returns no sample.
func (NoMetrics) Counts(context.Context, string, string, string, string, time.Time, time.Time) ([]health.Sample, []time.Time, error) {
	return nil, nil, nil
}

// Logs answers the same for every service.
type Logs struct{}

// Logs says what was asked.
func (Logs) Logs(_ context.Context, unit string, q wire.LogQuery) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("log of " + unit + "/" + q.Service + "/" + q.Version + "\n")), nil
}

// Start runs a control plane until the test ends.
func Start(t testing.TB) *Plane {
	t.Helper()
	p := &Plane{Dir: t.TempDir(), Tokens: map[policy.Role]string{}, unready: map[string]bool{}}
	ctx, cancel := context.WithCancel(context.Background())
	base, err := sqlite.Open(ctx, filepath.Join(p.Dir, "db"))
	must(t, err)
	p.Store = &Store{Store: base, changed: make(chan struct{})}
	must(t, access.EnsureTokens(ctx, p.Store, p.Dir, time.Now()))
	blobs, err := blob.New(filepath.Join(p.Dir, "artifacts"))
	must(t, err)
	declared := &catalog.Catalog{Store: p.Store, Blobs: blobs}
	logger := slog.New(slog.DiscardHandler)
	hub := link.NewHub(p.Store, controller.KindDesired, func() { p.Controller.Wake() })
	p.Hub = hub
	p.Controller = controller.New(controller.Options{Store: p.Store, Fleet: hub, Metrics: NoMetrics{}, Catalog: declared, Logger: logger, Interval: 50 * time.Millisecond})
	telling := notify.New(notify.Options{Store: p.Store, Catalog: declared, Rollouts: p.Controller, Changes: p.Store, Logger: logger,
		Sender: send.New(send.Options{Secrets: filepath.Join(p.Dir, "secrets"), Version: "test"})})
	paging := pager.New(pager.Options{Store: p.Store, Catalog: declared, Logger: logger})
	p.Record = record.New(record.Options{Store: p.Store, Tree: p.Store, KeyFile: filepath.Join(p.Dir, "record", "key"), Logger: logger})
	must(t, p.Record.Open(ctx))
	p.Authority = authority.New(authority.Options{Store: p.Store, Compile: cedar.Compile, Catalog: declared, People: p.people,
		Head: store.Doc{Kind: catalog.HeadKind, Name: catalog.HeadName}, Logger: logger})
	declared.CheckAccess, declared.Governed = p.Authority.Check, p.Authority.Governed
	p.Server, err = api.New(api.Options{
		Record:    p.Record,
		Authority: p.Authority, Governance: api.Governance{Policies: p.Authority, PolicyEdits: p.Authority, Grants: p.Authority, GrantReviews: p.Authority, First: func(r *http.Request) bool { return access.Bearer(r, p.Tokens[policy.Admin]) }},
		Catalog: declared, Releases: declared, Artifacts: blobs, Rollouts: p.Controller, Decisions: p.Controller, Configs: declared, Telling: telling,
		Pager: paging, AlertNews: paging, Hub: hub, Logs: Logs{}, Store: p.Store, Notifier: p.Store,
		Access: access.Tokens{Store: p.Store}, FlagKeys: access.FlagKeys{Store: p.Store}, Identity: access.Identity{Tokens: access.Tokens{Store: p.Store}, Providers: declared, Issuers: &oidc.Issuers{}}, Logger: logger, Version: "test",
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") }),
		UI:      http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") }),
	})
	must(t, err)
	server := httptest.NewServer(p.Server)
	p.URL, p.Interrupt = server.URL, server.CloseClientConnections
	p.signIn(t, ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = p.Controller.Run(ctx) })
	running.Go(func() { p.obey(ctx, hub) })
	running.Go(func() { _ = telling.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		server.CloseClientConnections()
		server.Close()
		running.Wait()
		must(t, base.Close())
	})
	return p
}

func (p *Plane) people(ctx context.Context) ([]policy.Principal, error) {
	all, err := access.Tokens{Store: p.Store}.List(ctx)
	people := make([]policy.Principal, len(all))
	for i, t := range all {
		people[i] = policy.Principal{Name: t.Name, Role: t.Role}
	}
	return people, err
}

func (p *Plane) signIn(t testing.TB, ctx context.Context) {
	tokens := access.Tokens{Store: p.Store}
	viewer, _, err := tokens.Create(ctx, "system:test", access.Wanted{Name: "viewer", Role: policy.Viewer}, time.Now())
	must(t, err)
	operator, _, err := tokens.Create(ctx, "system:test", access.Wanted{Name: "operator", Role: policy.Operator}, time.Now())
	must(t, err)
	alerter, _, err := tokens.Create(ctx, "system:test", access.Wanted{Name: "alerter", Role: policy.Alerter}, time.Now())
	must(t, err)
	admin, err := access.ReadToken(filepath.Join(p.Dir, access.AdminFile))
	must(t, err)
	data, err := access.ReadToken(filepath.Join(p.Dir, access.DataPlaneFile))
	must(t, err)
	p.Tokens = map[policy.Role]string{policy.Admin: admin, policy.Operator: operator, policy.Viewer: viewer, policy.Alerter: alerter, policy.DataPlane: data}
	as := func(r policy.Role) *client.Client {
		return client.New(client.Options{URL: p.URL, Token: p.Tokens[r], Patience: -1})
	}
	p.Admin, p.Operator, p.Viewer, p.DataPlane = as(policy.Admin), as(policy.Operator), as(policy.Viewer), as(policy.DataPlane)
}

// Unready keeps a version from becoming ready.
func (p *Plane) Unready(version string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unready[version] = true
}

// obey reports that all is as wanted.
func (p *Plane) obey(ctx context.Context, hub *link.Hub) {
	tag := ""
	for ctx.Err() == nil {
		d, now, err := hub.Desired(ctx, "local", tag, 200*time.Millisecond)
		if err != nil {
			return
		}
		tag = now
		_ = hub.Report(ctx, p.observe(d))
	}
}

func (p *Plane) observe(d fleet.Desired) fleet.Observed {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := fleet.Observed{Unit: "local", Time: time.Now()}
	for _, s := range d.Services {
		status := fleet.ServiceStatus{Name: s.Name, Generation: s.Generation}
		for _, slot := range s.Slots {
			seen := fleet.SlotStatus{Version: slot.Version, Wanted: slot.Instances, Ready: slot.Instances}
			if p.unready[slot.Version] {
				seen.Ready, seen.Failure = 0, "told not to be ready"
			}
			status.Slots = append(status.Slots, seen)
		}
		o.Services = append(o.Services, status)
	}
	return o
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
