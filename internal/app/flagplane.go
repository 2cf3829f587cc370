package app

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/flagfeed"
	"github.com/ringfence/ringfence/internal/flaggate"
	"github.com/ringfence/ringfence/internal/flagserve"
	"github.com/ringfence/ringfence/internal/gateway"
	"github.com/ringfence/ringfence/internal/workload"
)

// FlagsLimits say who may ask for flags how often.
type FlagsLimits struct {
	Origins []string // of pages; * for all
	Rate    float64  // requests a second and key; 0 for no limit
}

// flagPlane serves an environment's flags where its users are.
type flagPlane struct {
	*flagfeed.Follower
	log      *slog.Logger
	served   flagserve.Feed
	handlers *flagserve.Handlers
	schemas  *schemaPage  // beside the flags, at the address that programs of this machine know
	listener net.Listener // nil: flags are followed, for their ramps, and not served
	secure   *tls.Config
}

// newFlagPlane makes what serves flags by what the control plane says, or did. changed is called when there is something to report.
func newFlagPlane(c DataPlaneConfig, control *client.Client, g *gateway.Gateway, changed func()) *flagPlane {
	p := &flagPlane{log: c.Logger, schemas: newSchemaPage()}
	p.Follower = flagfeed.New(flagfeed.Options{
		Environment: c.Environment, Control: control, Gateway: g, Served: &p.served, Disk: disk(filepath.Join(c.Data, "flags.json")),
		Logger: c.Logger, Changed: changed,
	})
	gate := flagGate(c.Flags, p.Environment, &p.served, p.Keys, c.Logger)
	gate.Rate = c.Rate
	p.handlers = flagserve.New(flagserve.Options{Gate: gate, Origins: c.Origins})
	return p
}

// open listens, so that a wrong address is told of before anything is started.
func (p *flagPlane) open(addr string, secure *tls.Config) (err error) {
	if addr == "" {
		return nil
	}
	if p.listener, err = listenFlags(addr); err != nil {
		return err
	}
	if guardAddress("", p.listener.Addr().String(), false) != nil {
		p.secure = secure.Clone()
	}
	return nil
}

// address is where flags are served, "" when they are not.
func (p *flagPlane) address() string {
	if p.listener == nil {
		return ""
	}
	return p.listener.Addr().String()
}

// environ tells instances on this machine where their flags are, by the names that OpenFeature's OFREP and flagd providers look at.
func (p *flagPlane) environ() map[string]string {
	host, port, err := net.SplitHostPort(p.address())
	if err != nil || p.secure != nil {
		return nil
	}
	return map[string]string{"OFREP_ENDPOINT": "http://" + p.address(), "FLAGD_HOST": host, "FLAGD_PORT": port, "FLAGD_SYNC_PORT": port,
		workload.SchemaVar: "http://" + p.address() + schemaPath}
}

// serve serves flags until ctx ends, or another process has taken over.
func (p *flagPlane) serve(ctx, serving context.Context) error {
	if p.listener == nil {
		<-ctx.Done()
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("/", p.handlers)
	if p.secure == nil { // what a machine's programs ask is not for others
		mux.Handle(schemaPath, p.schemas)
	}
	f := newFront(p.listener, flagserve.NewHTTPServer(mux, p.secure), func(s *http.Server, l net.Listener) error {
		if p.secure != nil {
			return s.ServeTLS(l, "", "")
		}
		return s.Serve(l)
	})
	return f.until(ctx, serving, lameDuck, func() { // its streams
		p.handlers.Close()
		p.schemas.close()
	})
}

// flagGate lets in whom the keys are of; without any, the programs of the machine that the address is on.
func flagGate(addr, environment string, from flaggate.Source, keys func() (*flag.Keyring, error), log *slog.Logger) *flaggate.Gate {
	c := flagClients{keys: keys, local: guardAddress("", addr, false) == nil}
	return &flaggate.Gate{Source: from, Environment: environment, Keys: c, Open: c.open, Users: c, Log: log}
}

// withFlags serves flags by the remote evaluation protocol beside the API, so that one address is enough to begin with.
func (s *server) withFlags(next http.Handler) http.Handler {
	s.flags = flagserve.New(flagserve.Options{Gate: flagGate(s.Listen, flag.Production, s.serving, s.serving.Keys, s.Logger)})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/ofrep/") {
			s.flags.OFREP.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
