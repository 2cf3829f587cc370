package app

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/access/oidc"
	"github.com/ringfence/ringfence/internal/api"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/authority"
	"github.com/ringfence/ringfence/internal/blob"
	"github.com/ringfence/ringfence/internal/breaching"
	"github.com/ringfence/ringfence/internal/calendar"
	"github.com/ringfence/ringfence/internal/catalog"
	"github.com/ringfence/ringfence/internal/check"
	"github.com/ringfence/ringfence/internal/cli"
	"github.com/ringfence/ringfence/internal/clientele"
	"github.com/ringfence/ringfence/internal/contract"
	"github.com/ringfence/ringfence/internal/controller"
	"github.com/ringfence/ringfence/internal/discover"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flagserve"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/internal/link"
	"github.com/ringfence/ringfence/internal/logs/segment"
	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/objective"
	"github.com/ringfence/ringfence/internal/pager"
	ledger "github.com/ringfence/ringfence/internal/record"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/responder"
	"github.com/ringfence/ringfence/internal/secrecy"
	"github.com/ringfence/ringfence/internal/servicing"
	"github.com/ringfence/ringfence/internal/serving"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/postgres"
	"github.com/ringfence/ringfence/internal/store/sqlite"
	"github.com/ringfence/ringfence/internal/switchboard"
	"github.com/ringfence/ringfence/internal/telemetry"
	"github.com/ringfence/ringfence/internal/track"
	"github.com/ringfence/ringfence/internal/tsdb"
	"github.com/ringfence/ringfence/internal/ui"
	"github.com/ringfence/ringfence/internal/upkeep"
	"github.com/ringfence/ringfence/internal/vetting"
)

// ServerConfig configures a control plane.
type ServerConfig struct {
	Data     string        // folder; it keeps the database, metrics, artifacts and the first tokens
	Database string        // postgres://… instead of SQLite in Data
	Listen   string        // address of API and UI
	URL      string        // where people reach the pages, for links in messages; default what Listen says
	TLS      TLSFiles      // needed when Listen is not on loopback
	Scrape   time.Duration // interval of scrapes
	Step     time.Duration // interval of the controller
	Metrics  MetricsConfig
	Record   RecordConfig
	LogLimits
	Logger *slog.Logger
}

// server is a running control plane.
type server struct {
	ServerConfig
	store      *notifying
	record     *ledger.Ledger
	breaches   *breaching.Keeper
	blobs      *blob.Store
	catalog    *catalog.Catalog
	hub        *link.Hub
	serving    *serving.Engine
	told       *told
	events     *track.Store
	logs       *segment.Store
	since      time.Time // when events began to be told
	board      *switchboard.Board
	authority  *authority.Authority
	lab        *lab.Lab
	rules      *tsdb.Rules
	slos       *objective.Engine
	clientele  *clientele.Engine
	contracts  *contract.Keeper
	vetting    *vetting.Keeper
	secrets    *secrecy.Keeper
	rulesOff   atomic.Pointer[map[string][]string] // services that built-in rules do not watch, by the rule's name
	pager      *pager.Pager                        // takes alerts of all sources: s.pager.Send
	metrics    *tsdb.DB
	registry   *prometheus.Registry // what this process tells of itself
	own        http.Handler         // and where
	takes      *telemetry.Intake
	discovery  *discover.Discovery
	checks     *check.Pool
	controller *controller.Controller
	probes     *probes
	notify     *notify.Engine
	responder  *responder.Responder
	upkeep     *upkeep.Keeper
	servicing  *servicing.Engine
	flags      *flagserve.Handlers
	dataToken  string
	secure     *tls.Config
	issuing    sync.Once
	issuers    *oidc.Issuers
}

// heapGrowth is by how many percent the heap grows between two collections: what is in it are mostly series, which stay, and as many
// as people send. Prometheus has found the same number good.
const heapGrowth = 75

func openStore(ctx context.Context, c ServerConfig) (Store, error) {
	switch {
	case c.Database == "":
		return sqlite.Open(ctx, filepath.Join(c.Data, "ringfence.db"))
	case strings.HasPrefix(c.Database, "postgres://") || strings.HasPrefix(c.Database, "postgresql://"):
		return postgres.Open(ctx, c.Database)
	}
	scheme, _, _ := strings.Cut(c.Database, ":") // the rest may hold a password
	return nil, errs.E(errs.Invalid, "database: expected postgres://…, or nothing for SQLite in the data folder, got %.20q…", scheme)
}

func newServer(ctx context.Context, c ServerConfig) (*server, error) {
	base, err := openStore(ctx, c)
	if err != nil {
		return nil, err
	}
	s := &server{ServerConfig: c}
	s.store = newNotifying(recorded{&discreet{Store: base, log: c.Logger}}, s.declared, func() { s.serving.Wake() })
	if err := access.EnsureTokens(ctx, base, c.Data, time.Now().UTC()); err != nil {
		return nil, err
	}
	if s.dataToken, err = access.ReadToken(filepath.Join(c.Data, access.DataPlaneFile)); err != nil {
		return nil, err
	}
	if s.blobs, err = blob.New(filepath.Join(c.Data, "artifacts")); err != nil {
		return nil, err
	}
	if err = s.openMetrics(); err != nil {
		return nil, err
	}
	s.catalog = &catalog.Catalog{Store: s.store, Blobs: s.blobs, InUse: s.inUse,
		CheckRules:  tsdb.CheckRules,
		Shown:       func(ctx context.Context, name string) (string, string, error) { return s.controller.Shown(ctx, name) },
		CheckWindow: calendar.Check}
	s.hub = link.NewHub(s.store, controller.KindDesired, func() { s.controller.Wake() })
	s.serving = serving.New(serving.Options{Store: s.store, Desired: controller.KindDesired, HeadKind: catalog.HeadKind, HeadName: catalog.HeadName, Logger: c.Logger,
		Changed: func() { s.controller.Wake() }})
	if err := s.openEvents(ctx); err != nil {
		return nil, err
	}
	s.openLogs()
	s.checks = check.NewPool(check.New(check.Options{Commands: filepath.Join(c.Data, "commands")}).Run)
	s.told = newTold(counting{s.metrics}, s.events, s.serving)
	s.controller = controller.New(controller.Options{
		Store: s.store, Fleet: everywhere{s.hub, s.serving, s.told}, Metrics: s.told, Further: s.metrics, Catalog: s.catalog, Calendar: windows{}, Checks: checking{s.checks, s},
		Admitted: s.admitted, Logger: c.Logger, Interval: c.Step,
	})
	s.openAuthority()
	s.upkeep = upkeep.New(upkeep.Options{Store: s.store, Fleet: s.hub, Declared: func() { s.controller.Declared() }, Logger: c.Logger})
	s.servicing = s.openServicing()
	s.openContracts()
	s.board = s.newBoard()
	s.lab = lab.New(lab.Options{Store: s.store, Catalog: s.catalog, Events: summing{s.events}, Flags: flagged{s.controller, s.board}, Choices: serving.KindChoices,
		Every: 60 * c.Step, Logger: c.Logger})
	s.serving.Experiments, s.board.Experiments = s.lab, s.lab
	s.openPager()
	s.openVetting()
	if err := s.openSecrets(); err != nil {
		return nil, err
	}
	s.openSLOs()
	s.clientele = clientele.New(clientele.Options{Store: s.store, Catalog: s.catalog, Alerts: s.pager, Logger: c.Logger})
	if err := s.openRecord(ctx); err != nil {
		return nil, err
	}
	s.openBreaches()
	return s, s.openProbes()
}

// run works until ctx ends. answer is given what answers at l.
func (s *server) run(ctx context.Context, l net.Listener, answer func(http.Handler)) error {
	defer shrinkLater()()
	run := RunFile{URL: scheme(s.secure) + l.Addr().String()}
	s.notify = s.teller(run.URL, l)
	s.pager.Link = linkTo(s.URL, run.URL, l.Addr())
	s.openRules(s.pager.Link)
	s.responder = s.respond(run.URL, l)
	handler, err := s.handler()
	if err != nil {
		return err
	}
	handler = s.withFlags(handler)
	if err := writeRunFile(s.Data, "server", run); err != nil {
		return err
	}
	s.Logger.Info("control plane is up", "url", run.URL)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.controller.Run(ctx) })
	group.Go(func() error { return s.serving.Run(ctx) })
	group.Go(func() error { return s.record.Run(ctx) })
	group.Go(func() error { return s.breaches.Run(ctx) })
	group.Go(func() error { return s.upkeep.Run(ctx) })
	group.Go(func() error { return s.authority.Run(ctx) })
	group.Go(func() error { return s.servicing.Run(ctx) })
	group.Go(func() error { return s.lab.Run(ctx) })
	group.Go(func() error { return s.probes.run(ctx) })
	group.Go(func() error { return s.pager.Run(ctx) })
	group.Go(func() error { return s.rules.Run(ctx) })
	group.Go(func() error { return s.slos.Run(ctx) })
	group.Go(func() error { return s.clientele.Run(ctx) })
	group.Go(func() error { return s.vetting.Run(ctx) })
	group.Go(func() error { return s.openLookout().Run(ctx) })
	group.Go(func() error { return s.responder.Run(ctx) })
	group.Go(func() error { return s.notify.Run(ctx) })
	group.Go(func() error { return s.sweepLogs(ctx) })
	group.Go(func() error { // streams of flags, which do not end by themselves
		<-ctx.Done()
		s.flags.Close()
		return nil
	})
	group.Go(func() error { return s.metrics.Run(ctx, s.targets) })
	answer(handler)
	return group.Wait()
}

func (s *server) close() error {
	s.checks.Close()
	s.discovery.Close()
	return errors.Join(s.metrics.Close(), s.events.Close(), s.closeLogs(), s.store.Close())
}

// targets are the gateways and the services' own metrics, as the units last reported them.
func (s *server) targets() []tsdb.Target {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	all := append(s.discovered(ctx), s.itself())
	for _, o := range s.hub.Units() {
		if o.Admin != "" {
			all = append(all, tsdb.Target{URL: o.Admin + "/metrics", Labels: map[string]string{"job": "gateway", "unit": o.Unit},
				Interval: s.Scrape, Gateway: true})
		}
		for _, status := range o.Services {
			all = append(all, s.serviceTargets(ctx, o.Unit, status)...)
		}
	}
	return all
}

// serviceTargets are the instances of a service that declares metrics of its own.
func (s *server) serviceTargets(ctx context.Context, unit string, status fleet.ServiceStatus) []tsdb.Target {
	if len(status.Slots) == 0 { // nothing runs of it, or it is a flag's exposure
		return nil
	}
	r, err := s.catalog.Get(ctx, resource.KindService, status.Name)
	if err != nil {
		return nil
	}
	spec, err := resource.As[resource.Service](r)
	if err != nil || spec.Metrics == nil {
		return nil
	}
	var all []tsdb.Target
	for _, slot := range status.Slots {
		for _, in := range slot.Instances {
			all = append(all, tsdb.Target{URL: "http://" + in.Address + spec.Metrics.Path, Interval: spec.Metrics.Interval.D(s.Scrape),
				Labels: map[string]string{"job": "service", "service": status.Name, "version": slot.Version, "unit": unit, "instance": in.ID}})
		}
	}
	return all
}

// charting fits the metrics to the pages.
type charting struct{ *tsdb.DB }

func (c charting) QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]ui.Line, error) {
	lines, err := c.DB.QueryRange(ctx, expr, from, to, step)
	out := make([]ui.Line, len(lines))
	for i, l := range lines {
		out[i] = ui.Line(l)
	}
	return out, err
}

// handler is the API, with Prometheus' query API and the pages for people beside it.
func (s *server) handler() (http.Handler, error) {
	pages, err := ui.New(ui.Options{
		Record:    s.record,
		Incidents: s.responder,
		Catalog:   s.catalog, Rollouts: contracted{s.controller, s.contracts, s.vetting}, Decisions: s.controller, LastGood: s.lastGood, Plans: s.catalog, Calendar: almanac{}, Hub: everywhere{s.hub, s.serving, s.told}, Board: s.board, Lab: s.lab, SLOs: s.slos, Customers: s.clientele, Upkeep: s.upkeep, Contracts: s.contracts, Vetting: s.vetting, Availability: s.minutes(), Pager: s.pager, Probes: s.probes, Usage: usages{s},
		Store: s.store, Notifier: s.store, Access: access.Tokens{Store: s.store}, Identity: s.identity(), Authority: s.authority,
		Metrics: charting{s.metrics}, LogStore: s.pageLogs(), Scrape: s.Scrape, Logger: s.Logger, Version: cli.Version(),
	})
	if err != nil {
		return nil, err
	}
	return api.New(api.Options{
		Record:   s.record,
		Breaches: s.breaches, Reach: s.Reach, Bait: s.breaches.Used,
		Incidents: s.responder,
		Catalog:   s.catalog, Releases: s.catalog, Artifacts: s.blobs, Rollouts: contracted{s.controller, s.contracts, s.vetting}, Decisions: s.controller, Upkeep: s.upkeep, Servicing: s.servicing, Configs: s.catalog, Telling: s.notify, Hub: s.hub, Flags: s.serving, Board: s.board, Lab: s.lab, SLOs: s.slos, Customers: s.clientele, Availability: s.minutes(), Contracts: s.contracts, Vetting: s.vetting, Secrets: s.secrets, Pager: s.pager, AlertNews: s.pager, Probes: s.probes, Probing: s.probes, Usage: usages{s}, Track: s.intake(),
		Logs: dataPlaneLogs{s.hub, s.dataToken}, LogStore: s.logStore(), Store: s.store, Notifier: s.store, Access: senders{access.Tokens{Store: s.store}, flagClients{keys: s.serving.Keys}}, FlagKeys: access.FlagKeys{Store: s.store}, Identity: s.identity(), Authority: s.authority, Governance: s.governance(),
		Samples: counting{s.metrics}, Metrics: s.metrics.Handler(), Telemetry: s.telemetry(), Own: s.own, UI: pages, Ready: s.ready, Logger: s.Logger, Version: cli.Version(),
	})
}

// ready says why the control plane cannot decide or record now.
func (s *server) ready(ctx context.Context) error {
	_, err := s.store.List(ctx, store.Page{Kind: controller.KindLive, Limit: 1})
	return err
}

// dataPlaneLogs brings instances' output from the unit's data plane.
type dataPlaneLogs struct {
	hub   *link.Hub
	token string
}

func (d dataPlaneLogs) Logs(ctx context.Context, unit string, q wire.LogQuery) (io.ReadCloser, error) {
	admin := d.hub.Admin(unit)
	if admin == "" {
		return nil, errs.E(errs.Unavailable, "the data plane of unit %s has not reported since the control plane started", unit)
	}
	args := url.Values{"service": {q.Service}, "version": {q.Version}, "instance": {strconv.Itoa(q.Instance)},
		"tail": {strconv.Itoa(q.Tail)}, "follow": {strconv.FormatBool(q.Follow)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+"/logs?"+args.Encode(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "the data plane of unit %s does not answer", unit)
	}
	if resp.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		_ = resp.Body.Close()
		return nil, errs.E(errs.Missing, "%s", strings.TrimSpace(string(why)))
	}
	return resp.Body, nil
}
