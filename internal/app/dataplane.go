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
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/accesslog"
	"github.com/ringfence/ringfence/internal/acme"
	"github.com/ringfence/ringfence/internal/agent"
	"github.com/ringfence/ringfence/internal/blob"
	"github.com/ringfence/ringfence/internal/catalog"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/gateway"
	"github.com/ringfence/ringfence/internal/rum"
	"github.com/ringfence/ringfence/internal/ship"
	"github.com/ringfence/ringfence/internal/workload"
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

// dataPlane is a running data plane.
type dataPlane struct {
	DataPlaneConfig
	token   string
	secure  *tls.Config
	front   *tls.Config  // the gateway's
	issuer  *acme.Issuer // nil: certificates come from files
	gateway *gateway.Gateway
	runtime *workload.Runtime
	agent   *agent.Agent
	control *client.Client
	flags   *flagPlane
	rum     *rum.Intake
	learned *learned
	faults  faults // of pages' scripts, to be shipped
	shipper *ship.Shipper
	access  *accesslog.Log // nil: none is written
	users   disk
	saved   uint64 // the changes of users that are on disk
}

// DataPlane serves users and keeps instances running until ctx ends. It needs no control plane to do so.
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
	lock, err := lockFolder(c.Data, "dataplane")
	if err != nil {
		return err
	}
	defer lock.Close()
	debug.SetGCPercent(400) // its live heap is small: a few more MB for a good deal less time of the processor
	d, err := newDataPlane(c)
	if err != nil {
		return err
	}
	public, err := listenGateway(c.Gateway)
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	admin, err := net.Listen("tcp", c.Admin)
	if err != nil {
		return fmt.Errorf("admin page: %w", err)
	}
	if err := d.flags.open(c.Flags, d.secure); err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	return d.run(ctx, public, admin)
}

func newDataPlane(c DataPlaneConfig) (*dataPlane, error) {
	token, err := access.ReadToken(c.TokenFile)
	if err != nil {
		return nil, err
	}
	d := &dataPlane{DataPlaneConfig: c, token: token, users: disk(filepath.Join(c.Data, "users.json"))}
	id, err := planeID(c.Data)
	if err != nil {
		return nil, fmt.Errorf("id of the data plane: %w", err)
	}
	control := client.New(client.Options{URL: c.Server, Token: token, Plane: id})
	if d.secure, err = c.TLS.Config(tls.VersionTLS12, c.Logger); err != nil {
		return nil, err
	}
	metrics := prometheus.NewRegistry()
	d.newRUM(metrics, control)
	if err := d.certify(); err != nil {
		return nil, err
	}
	o := gateway.Options{Unit: c.Unit, Logger: c.Logger, TLS: d.front, Registry: metrics, Pages: d.rum}
	if o.TrustedProxies, err = prefixes(c.Trusted); err != nil {
		return nil, err
	}
	if d.access, err = c.Access.open(c.Logger); err != nil {
		return nil, err
	}
	if d.access != nil {
		o.Access = gateway.AccessLog{Write: d.access.Write, Sample: c.Access.Sample}
	}
	d.gateway = gateway.New(o)
	if err := d.loadUsers(); err != nil {
		c.Logger.Warn("the counts of users start again", "err", err)
	}
	d.saved = d.gateway.UserChanges()
	blobs, err := blob.New(filepath.Join(c.Data, "artifacts"))
	if err != nil {
		return nil, err
	}
	d.flags = newFlagPlane(c, control, d.gateway, func() { d.agent.Changed() })
	d.runtime, err = workload.New(workload.Options{
		Dir: filepath.Join(c.Data, "workload"), Logger: c.Logger, Artifacts: blob.NewCache(blobs, control.Artifact, catalog.MaxArtifact),
		Traffic: traffic{d.gateway}, OnChange: func() { d.agent.Changed() },
		Env: func() map[string]string { return d.flags.environ() },
	})
	if err != nil {
		return nil, err
	}
	if err := metrics.Register(d.runtime.Collector(c.Unit)); err != nil {
		return nil, err
	}
	d.control = control
	d.agent = agent.New(agent.Options{
		Unit: c.Unit, Admin: "http://" + c.Admin, Control: control, Gateway: d.gateway, Workload: d.runtime,
		Disk: disk(filepath.Join(c.Data, "desired.json")), Logger: c.Logger, Flags: d.flags.Statuses,
	})
	d.shipper = ship.New(ship.Options{Unit: c.Unit, Boot: strconv.FormatInt(time.Now().UnixNano(), 36), Outputs: d.runtime.Outputs(), Notes: d.notes, Sender: control,
		Disk: disk(filepath.Join(c.Data, "shipped.json")), Logger: c.Logger})
	return d, nil
}

func (d *dataPlane) run(ctx context.Context, public, admin net.Listener) error {
	defer shrinkLater()()
	d.agent.Restore(ctx)
	d.flags.Restore()
	plain, err := d.ACME.listen()
	if err != nil {
		return err
	}
	var secure *tls.Config
	if guardAddress("", admin.Addr().String(), false) != nil {
		secure = d.secure.Clone()
	}
	d.agent.Admin = scheme(secure) + admin.Addr().String()
	d.agent.Gate = scheme(d.front) + reachable(public.Addr().String())
	run := RunFile{URL: d.agent.Admin, Gateway: public.Addr().String(), Flags: d.flags.address()}
	if err := writeRunFile(d.Data, "dataplane", run); err != nil {
		return err
	}
	d.Logger.Info("data plane is up", "gateway", run.Gateway, "admin", run.URL, "flags", run.Flags)
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return d.runtime.Run(running) })
	answering, answered := context.WithCancel(context.WithoutCancel(running)) // requests in flight ask for flags, too
	group.Go(func() error {
		defer answered()
		return d.gateway.Serve(running, public)
	})
	if plain != nil {
		group.Go(func() error { return serveHTTP(running, plain, d.plainPages(), nil) })
	}
	if d.access != nil {
		group.Go(func() error { return d.access.Run(answering) })
	}
	group.Go(func() error { return d.flags.serve(answering) })
	group.Go(func() error { return d.flags.Run(running) })
	group.Go(func() error { return d.agent.Run(running) })
	group.Go(func() error {
		d.agent.TellAccounts(running, d.gateway, d.control)
		return nil
	})
	group.Go(func() error { return d.learned.run(running) })
	group.Go(func() error { return d.shipper.Run(running) })
	group.Go(func() error { return d.saveUsers(running) })
	group.Go(func() error { return serveHTTP(running, admin, d.adminPages(), secure) })
	err = group.Wait()
	asked := ctx.Err() != nil // else something of ours has failed: the instances go on and are adopted
	return errors.Join(err, d.runtime.Close(d.StopInstances && asked))
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
	heard, trouble := d.agent.Heard()
	page := struct {
		Status   string         `json:"status"`
		Control  string         `json:"control"`
		Heard    time.Time      `json:"heard,omitzero"`
		Flags    string         `json:"flags,omitempty"` // version of what is served
		Unsaved  string         `json:"unsaved,omitempty"`
		Observed fleet.Observed `json:"observed"`
	}{Status: "serving", Control: "connected", Heard: heard, Observed: d.agent.Observe()}
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

// traffic fits the gateway to the process runtime.
type traffic struct{ *gateway.Gateway }

// Drain waits until an instance that was left out has answered its requests.
func (t traffic) Drain(ctx context.Context, ep fleet.Endpoint, limit time.Duration) {
	t.DrainEndpoint(ctx, ep, limit)
}
