package ui

import (
	"context"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/record"
	"github.com/ringfence/ringfence/internal/rollout"
)

// Options configure the pages.
type Options struct {
	Catalog      Catalog
	Rollouts     Rollouts
	Decisions    Decisions
	LastGood     func(ctx context.Context, service string) (string, error) // what a redeployment would bring back; "" for nothing
	Plans        Plans
	Calendar     Calendar
	Board        Board        // nil: there are no pages of flags
	Lab          Lab          // nil: there are no pages of experiments
	Incidents    Incidents    // nil: there are no pages of incidents
	Probes       Probes       // nil: there are no pages of probes
	Usage        Usage        // nil: there are no pages of what users see
	Pager        Pager        // nil: there are no pages of alerts
	SLOs         SLOs         // nil: there are no pages of SLOs
	Customers    Customers    // nil: pages say nothing of customers
	Upkeep       Upkeep       // nil: there is no page of units
	Contracts    Contracts    // nil: there are no pages of interfaces
	Vetting      Vetting      // nil: there are no pages of artifacts
	Availability Availability // nil: there are no pages of services' minutes
	Hub          Hub
	Store        Store
	Record       Record   // nil: events are not proved
	Notifier     Notifier // nil: pages look for new events by themselves
	Access       Access
	Authority    Authority     // default: roles alone decide
	Identity     Identity      // nil: nobody signs in by an identity provider
	Metrics      Metrics       // nil: no charts
	LogStore     LogStore      // nil: no logs
	Simulate     time.Duration // how long a page waits for a simulation; default 900 ms
	Scrape       time.Duration // interval of scrapes, which says how fine charts can be; default 5s
	Logger       *slog.Logger
	Version      string
	Now          func() time.Time // default time.Now
}

// Server answers browsers.
type Server struct {
	Options
	mux     *http.ServeMux
	pages   map[string]*template.Template
	files   *files
	origin  *http.CrossOriginProtection
	denials limiter
	asks    asked
	trials  chan struct{} // simulations at the same time
	traffic recent
	flying  flights
	readers *record.Readers
}

// New makes the pages' handler. It fails only when a page cannot be parsed.
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
	if o.Simulate <= 0 {
		o.Simulate = 900 * time.Millisecond
	}
	if o.Scrape <= 0 {
		o.Scrape = 5 * time.Second
	}
	s := &Server{Options: o, mux: http.NewServeMux(), origin: http.NewCrossOriginProtection(), denials: limiter{level: denialBurst},
		trials: make(chan struct{}, 1), readers: record.NewReaders(o.Store)}
	var err error
	if s.files, err = readFiles(); err != nil {
		return nil, err
	}
	if s.pages, err = parsePages(s.files); err != nil {
		return nil, err
	}
	s.routes()
	return s, nil
}

func (s *Server) routes() {
	s.mux.Handle("GET /ui/assets/", s.files)
	s.mux.Handle("GET /favicon.ico", s.files)
	s.mux.HandleFunc("GET /sign-in", s.open(s.signInPage))
	s.mux.HandleFunc("POST /sign-in", s.open(s.signIn))
	if s.Identity != nil {
		s.mux.HandleFunc("GET /account", s.signed(policy.Self, s.account))
		s.mux.HandleFunc("POST /account/token", s.signed(policy.Self, s.lend))
		s.mux.HandleFunc("GET /sign-in/{provider}", s.open(s.goToProvider))
		s.mux.HandleFunc("GET /sign-in/{provider}/back", s.open(s.backFromProvider))
	}
	s.mux.HandleFunc("POST /sign-out", s.signed(policy.Self, s.signOut))
	s.mux.HandleFunc("GET /{$}", s.signed(policy.Read, s.overview))
	s.mux.HandleFunc("GET /services/{service}", s.signed(policy.Read, s.service))
	s.mux.HandleFunc("GET /rollouts/{rollout}", s.signed(policy.Read, s.rollout))
	s.mux.HandleFunc("GET /approvals", s.signed(policy.Read, s.approvals))
	s.mux.HandleFunc("GET /calendar", s.signed(policy.Read, s.calendar))
	s.mux.HandleFunc("GET /calendar.ics", s.subscribed(s.feed))
	s.mux.HandleFunc("GET /plans", s.signed(policy.Read, s.plans))
	s.mux.HandleFunc("GET /plans/new", s.signed(policy.Change, s.newPlan))
	s.mux.HandleFunc("GET /plans/{plan}", s.signed(policy.Read, s.planEditor))
	s.mux.HandleFunc("POST /plans/{plan}", s.signed(policy.Change, s.editPlan))
	s.mux.HandleFunc("GET /events", s.signed(policy.Read, s.events))
	s.mux.HandleFunc("GET /events/{seq}", s.signed(policy.Read, s.event))
	if s.Record != nil {
		s.mux.HandleFunc("GET /events/{seq}/proof", s.signed(policy.Read, s.proof))
	}
	s.mux.HandleFunc("GET /simulate", s.signed(policy.Read, s.simulation))
	s.mux.HandleFunc("GET "+livePath, s.signed(policy.Read, s.live))
	s.mux.HandleFunc("GET /ui/series", s.signed(policy.Read, s.series))
	s.mux.HandleFunc("GET /ui/health", s.signed(policy.Read, s.health))
	if s.LogStore != nil {
		s.mux.HandleFunc("GET /explore", s.signed(policy.Read, s.explore))
		s.mux.HandleFunc("GET /ui/explore", s.signed(policy.Read, s.exploreSeries))
	}
	s.flagRoutes()
	s.experimentRoutes()
	s.incidentRoutes()
	s.sloRoutes()
	s.probeRoutes()
	s.alertRoutes()
	s.maintenanceRoutes()
	for _, verb := range rollout.Verbs {
		s.deed("/rollouts/{rollout}/"+string(verb), s.command(verb))
	}
	s.deed("/rollouts/{rollout}/forward", s.forward())
	s.deed("/rollouts/{rollout}/redeploy", s.redeploy())
	s.deed("/rollouts/{rollout}/approve", s.approve(false))
	s.deed("/rollouts/{rollout}/refuse", s.approve(true))
	s.deed("/line/stop", s.turnLine(true))
	s.deed("/line/lift", s.turnLine(false))
	s.mux.HandleFunc("/", s.signed(policy.Self, s.nowhere))
}

// ServeHTTP answers one request. Whoever mounts the pages sets the Content-Security-Policy.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Referrer-Policy", "same-origin") // with none, browsers would not say where a form was
	if r.URL.Path != livePath {
		control := http.NewResponseController(w)
		end := time.Now().Add(pageTime + time.Second)
		_ = control.SetReadDeadline(end)
		_ = control.SetWriteDeadline(end)
	}
	s.mux.ServeHTTP(w, r)
}
