package app

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/accesslog"
	"github.com/ringfence/ringfence/internal/acme"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/gateway"
	"github.com/ringfence/ringfence/internal/handover"
	"github.com/ringfence/ringfence/internal/rum"
)

// DataPlaneConfig configures a data plane.
type DataPlaneConfig struct {
	Data      string // folder; it keeps the last desired state, instances' state and logs, artifacts
	Unit      string
	Server    string // URL of the control plane
	TokenFile string
	Gateway   string // address that takes users' requests
	Admin     string // address of the health page, metrics and logs
	Flags     string // address that flags are served on; empty for none
	FlagsLimits
	Environment   string // whose flags; default production
	Access        AccessConfig
	ACME          ACMEConfig
	Trusted       []string // addresses of proxies before the gateway
	TLS           TLSFiles // the gateway speaks TLS with them, and the other addresses when they are not on loopback
	StopInstances bool     // on a clean end, stop the instances; else they go on and are adopted later
	Logger        *slog.Logger
}

// dataPlane is a running data plane: the gateway and the other pages, with a keeper behind them.
type dataPlane struct {
	DataPlaneConfig
	seat              *seat
	token             string
	secure            *tls.Config
	front             *tls.Config  // the gateway's
	issuer            *acme.Issuer // nil: certificates come from files
	control           *client.Client
	metrics           *prometheus.Registry
	adminURL, gateURL string
	gateway           *gateway.Gateway
	keeper            atomic.Pointer[keeper]
	flags             *flagPlane
	rum               *rum.Intake
	learned           *learned
	faults            faults         // of pages' scripts, to be shipped
	access            *accesslog.Log // nil: none is written
	users             disk
	saved             uint64    // the changes of users that are on disk
	former            formerUse // what the process before this one still has in flight

	public    net.Listener // as it was given or opened
	admin     *front
	plain     net.Listener            // nil: no plain HTTP
	succeeded context.CancelCauseFunc // ends serving for another process
	heir      *handover.Successor     // that process
	working   context.Context         // ends when this process was asked to end, or something of it has failed
}

// DataPlane serves users and keeps instances running until ctx ends, or another process has taken over. It needs no control plane to do so.
func DataPlane(ctx context.Context, c DataPlaneConfig) error {
	if err := guardAddress("admin page", c.Admin, c.TLS != TLSFiles{}); err != nil {
		return err
	}
	if c.Flags != "" {
		if err := guardAddress("flags", c.Flags, c.TLS != TLSFiles{}); err != nil {
			return err
		}
	}
	if err := guardServer(c.Server); err != nil {
		return err
	}
	debug.SetGCPercent(400) // its live heap is small: a few more MB for a good deal less time of the processor
	s, err := takeSeat("dataplane", c.Data, c.Logger)
	if err != nil {
		return err
	}
	return s.give(c.serve(ctx, s))
}

func (c DataPlaneConfig) serve(ctx context.Context, s *seat) error {
	d, err := newDataPlane(c)
	if err != nil {
		return err
	}
	d.seat = s
	public, err := listenGateway(c.Gateway)
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	admin, err := listenAdmin(c.Admin)
	if err != nil {
		return fmt.Errorf("admin page: %w", err)
	}
	if err := d.flags.open(c.Flags, d.secure); err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	return d.run(ctx, public, admin)
}

// newDataPlane makes what stands before the keeper. It writes nothing that is another process's.
func newDataPlane(c DataPlaneConfig) (*dataPlane, error) {
	token, err := access.ReadToken(c.TokenFile)
	if err != nil {
		return nil, err
	}
	d := &dataPlane{DataPlaneConfig: c, token: token, users: disk(filepath.Join(c.Data, "users.json")), metrics: prometheus.NewRegistry(),
		seat: &seat{plane: "dataplane", data: c.Data, log: c.Logger}}
	id, err := planeID(c.Data)
	if err != nil {
		return nil, fmt.Errorf("id of the data plane: %w", err)
	}
	d.control = client.New(client.Options{URL: c.Server, Token: token, Plane: id})
	if d.secure, err = c.TLS.Config(tls.VersionTLS12, c.Logger); err != nil {
		return nil, err
	}
	d.newRUM(d.metrics, d.control)
	if err := d.certify(); err != nil {
		return nil, err
	}
	o := gateway.Options{Unit: c.Unit, Logger: c.Logger, TLS: d.front, Registry: d.metrics, Pages: d.rum}
	if o.TrustedProxies, err = prefixes(c.Trusted); err != nil {
		return nil, err
	}
	if o.CallerNetworks, err = prefixes(c.Access.Callers); err != nil {
		return nil, err
	}
	if d.access, err = c.Access.open(c.Logger); err != nil {
		return nil, err
	}
	if d.access != nil {
		o.Access = gateway.AccessLog{Write: d.access.Write, Sample: c.Access.Sample}
	}
	d.gateway = gateway.New(o)
	d.flags = newFlagPlane(c, d.control, d.gateway, func() {
		if k := d.keeper.Load(); k != nil {
			k.agent.Changed()
		}
	})
	return d, nil
}

// inherit takes over the folder, from the process before if there is one, and puts in force what was last wanted.
func (d *dataPlane) inherit(ctx context.Context) (k *keeper, left leftBehind, err error) {
	if err := d.readable(); err != nil && d.seat.before != nil {
		return nil, left, err
	}
	if err := d.seat.settle(ctx, &left); err != nil {
		return nil, left, err
	}
	if err := d.loadUsers(); err != nil {
		d.Logger.Warn("the counts of users start again", "err", err)
	}
	d.saved = d.gateway.UserChanges()
	if k, err = d.newKeeper(); err != nil {
		return nil, left, err
	}
	if d.seat.before != nil {
		d.former.begin(left.Busy)
	}
	k.restore(ctx)
	d.flags.Restore()
	return k, left, nil
}

func (d *dataPlane) run(ctx context.Context, public, admin net.Listener) error {
	defer shrinkLater()()
	var err error
	if d.plain, err = d.ACME.listen(); err != nil {
		return err
	}
	var secure *tls.Config
	if guardAddress("", admin.Addr().String(), false) != nil {
		secure = d.secure.Clone()
	}
	d.public, d.adminURL, d.gateURL = public, scheme(secure)+admin.Addr().String(), scheme(d.front)+reachable(public.Addr().String())
	k, left, err := d.inherit(ctx)
	if err != nil {
		return err
	}
	run := RunFile{URL: d.adminURL, Gateway: public.Addr().String(), Flags: d.flags.address()}
	if err := writeRunFile(d.Data, "dataplane", run); err != nil {
		return errors.Join(err, k.close(d, false))
	}
	d.Logger.Info("data plane is up", "gateway", run.Gateway, "admin", run.URL, "flags", run.Flags)
	group, working := errgroup.WithContext(ctx)
	d.working = working
	serving, succeeded := context.WithCancelCause(working)
	d.succeeded = succeeded
	k.run(working, d, d.settled(working))
	d.awaitReady(working, k, left)
	answering, answered := context.WithCancel(context.WithoutCancel(working)) // requests in flight ask for flags, too
	server, serve := newHTTP(answering, d.adminPages(), secure)
	d.admin = newFront(admin, server, serve)
	group.Go(func() error {
		defer answered()
		return d.gateway.Serve(serving, public)
	})
	if d.plain != nil {
		server, serve := newHTTP(answering, d.plainPages(), nil)
		pages := newFront(d.plain, server, serve)
		group.Go(func() error { return pages.until(answering, serving, lameDuck, func() {}) })
	}
	if d.access != nil {
		group.Go(func() error { return d.access.Run(answering) })
	}
	group.Go(func() error { return d.flags.serve(answering, serving) })
	group.Go(func() error { return d.admin.until(answering, serving, 0, func() {}) })
	group.Go(func() error { return d.learned.run(answering) })
	group.Go(func() error { return d.stay(working, serving) })
	err = group.Wait()
	if errors.Is(context.Cause(serving), gateway.ErrSucceeded) {
		d.bequeath()
		return err // the keeper is another process's
	}
	asked := ctx.Err() != nil // else something of ours has failed: the instances go on and are adopted
	return errors.Join(err, d.keeper.Load().close(d, d.StopInstances && asked))
}

func (d *dataPlane) loadUsers() error {
	b, err := d.users.Load()
	if err != nil || b == nil {
		return err
	}
	return d.gateway.LoadUsers(b)
}

// saveUsers keeps the counts of exposed users over restarts; a crash forgets at most its last second.
func (d *dataPlane) saveUsers(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		if err := d.saveChanged(); err != nil {
			d.Logger.Warn("cannot save the counts of users", "err", err)
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// saveChanged leaves a disk alone that has everything already.
func (d *dataPlane) saveChanged() error {
	changes := d.gateway.UserChanges() // before: what comes meanwhile is saved next time
	if changes == d.saved {
		return nil
	}
	b, err := d.gateway.SaveUsers()
	if err == nil {
		err = d.users.Save(b)
	}
	if err == nil {
		d.saved = changes
	}
	return err
}

func (d *dataPlane) adminPages() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", d.gateway.MetricsHandler())
	mux.HandleFunc("GET /healthz", d.health)
	mux.HandleFunc("GET /{$}", d.health)
	mux.HandleFunc("GET /logs", d.logs)
	mux.HandleFunc("GET /rum/errors", d.rumErrors)
	return mux
}

// health answers 200 while the gateway serves, whatever the control plane does, and says what it last heard.
func (d *dataPlane) health(w http.ResponseWriter, _ *http.Request) {
	agent := d.keeper.Load().agent
	heard, trouble := agent.Heard()
	page := struct {
		Status   string         `json:"status"`
		Control  string         `json:"control"`
		Heard    time.Time      `json:"heard,omitzero"`
		Flags    string         `json:"flags,omitempty"` // version of what is served
		Unsaved  string         `json:"unsaved,omitempty"`
		Observed fleet.Observed `json:"observed"`
	}{Status: "serving", Control: "connected", Heard: heard, Observed: agent.Observe()}
	page.Flags, _, _, page.Unsaved = d.flags.State()
	switch {
	case trouble != "":
		page.Control = trouble + "; serving what was last wanted"
	case time.Since(heard) > 30*time.Second:
		page.Control = "not heard of lately; serving what was last wanted"
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(page)
}
