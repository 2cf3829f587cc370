package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/ringfence/ringfence/internal/breach"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/record"
	"github.com/ringfence/ringfence/internal/replay"
)

// Options configure a server.
type Options struct {
	Catalog      Catalog
	Releases     Releases
	Artifacts    Artifacts
	Rollouts     Rollouts
	Decisions    Decisions
	Upkeep       Upkeep
	Servicing    Servicing
	Configs      Configs
	Telling      Telling
	Incidents    Incidents
	Hub          Hub
	Flags        Flags
	FlagKeys     FlagKeys
	Identity     Identity // nil: nobody signs in by an identity provider
	Board        Board
	Lab          Lab
	Pager        Pager
	AlertNews    AlertNews
	SLOs         SLOs
	Customers    Customers // nil: accounts are not counted
	Probes       Probes
	Probing      Probing
	Usage        Usage
	Track        http.Handler // takes exposures and metric events in, below /v1/track, /v1/logs and /v1/traces; it asks of which environment they are
	Logs         Logs
	LogStore     LogStore // nil: log entries are not kept
	Store        Store
	Record       Record                                                                // nil: the record is not signed
	Breaches     Breaches                                                              // nil: breaches are not kept
	Reach        func(ctx context.Context, principal string) ([]breach.Reached, error) // with Breaches
	Bait         func(ctx context.Context, actor string)                               // told who signed in; nil: nobody asks
	Notifier     Notifier                                                              // nil: followers of the record look for new events by themselves
	Access       Access
	Authority    Authority      // default: roles alone decide
	Governance                  // zero: rules can neither be looked at nor changed
	Samples      replay.Samples // nil: recorded rollouts cannot be decided again
	Contracts    Contracts      // nil: interfaces are not kept
	Vetting      Vetting        // nil: no evidence of artifacts is kept
	Secrets      Secrets        // nil: no secrets are kept
	Availability Availability   // nil: nothing is known of it
	Metrics      http.Handler   // Prometheus' query API, below /api/v1/
	Telemetry    Telemetry
	Own          http.Handler // what this process tells of itself, at /metrics
	UI           http.Handler // everything that is not the API's; it signs its own users in
	Ready        func(context.Context) error
	Logger       *slog.Logger
	Version      string
	Now          func() time.Time // default time.Now
}

// Server answers the API's requests.
type Server struct {
	Options
	mux     *http.ServeMux
	api     huma.API
	routes  map[string]route // by the mux' pattern
	started time.Time
	limits  limits
	keys    keyring
	denials denials
	readers *record.Readers
}

// New makes a server.
func New(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Authority == nil {
		o.Authority = policy.Table{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{Options: o, mux: http.NewServeMux(), routes: map[string]route{}, started: o.Now().UTC(), limits: newLimits()}
	s.keys = keyring{store: o.Store, now: o.Now}
	s.denials = denials{store: o.Store, logger: o.Logger, limit: newBucket(denialRate, denialBurst)}
	s.readers = record.NewReaders(o.Store)
	s.api = humago.New(s.mux, s.config())
	s.system()
	s.resources()
	s.artifacts()
	s.releases()
	s.services()
	s.rollouts()
	s.evidence()
	s.approvals()
	s.line()
	s.configs()
	s.tokens()
	s.sessions()
	s.policies()
	s.notifiers()
	s.incidents()
	s.events()
	s.record()
	s.breaches()
	s.units()
	s.upkeep()
	s.databases()
	s.feed()
	s.flags()
	s.flagKeys()
	s.experiments()
	s.alerts()
	s.alertmanager()
	s.slos()
	s.customers()
	s.availability()
	s.interfaces()
	s.evidenceOfArtifacts()
	s.secrets()
	s.probes()
	s.rum()
	s.logStore()
	s.backup()
	s.mounts()
	return s, s.describe()
}

// mounts registers what is not described by OpenAPI: another project's API, and pages for people.
func (s *Server) mounts() {
	s.mount("/v1/", route{action: policy.Anyone, missing: true}, http.HandlerFunc(s.unknown))
	if s.Track != nil {
		for _, path := range []string{"/v1/track", "/v1/logs", "/v1/traces"} {
			s.mount("POST "+path, route{action: policy.Send, maxBody: maxEvents}, s.Track)
		}
		s.mount("OPTIONS /v1/logs", route{action: policy.Anyone}, s.Track) // what browsers ask before
	}
	if s.Metrics != nil {
		s.mount("/api/v1/", route{action: policy.Read, timeout: 2 * time.Minute, maxBody: maxJSON}, s.Metrics)
	}
	s.telemetry()
	if s.Own != nil {
		s.mount("GET /metrics", route{action: policy.Read}, s.Own)
	}
	if s.UI != nil {
		s.mount("/", route{action: policy.Anyone, stream: true, maxBody: maxJSON, page: true}, s.UI)
	}
}

// maxEvents bounds a request that brings events; what takes them bounds them as well.
const maxEvents = 16 << 20

func (s *Server) mount(pattern string, r route, h http.Handler) {
	s.routes[pattern] = r
	s.mux.Handle(pattern, h)
}

// unknown answers for what is below /v1/ but is no route: another method may be meant.
func (s *Server) unknown(w http.ResponseWriter, r *http.Request) {
	var allow []string
	for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = m
		if _, pattern := s.mux.Handler(other); pattern != "/v1/" {
			allow = append(allow, m)
		}
	}
	writeProblem(w, noRoute(r, allow))
}
