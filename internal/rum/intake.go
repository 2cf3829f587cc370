package rum

import (
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringfence/ringfence/internal/gateway"
)

// Options of an Intake.
type Options struct {
	Unit     string
	Registry *prometheus.Registry // which the gateway's metrics are in, so that they are scraped together
	Logger   *slog.Logger
	Rate     float64                                                              // reports a second of a service; default 100, five times as many at once
	Events   func([]Event)                                                        // what users did, and which version they had; it must not wait. nil: nobody is told
	Seen     func(service, version, ring, page string, e Error)                   // a script's error, once for each that is new; nil: nobody is told
	Variants func(flags []string, key string, attributes map[string]any) []string // name=variant of flags; nil: none are told
}

// Event is what one user did, or was given.
type Event struct {
	Time    time.Time
	Key     string // the targeting key
	Service string
	Version string // of an exposure: the version that the user had
	Name    string // of what was done; empty for an exposure
	Value   float64
}

const (
	defaultRate = 100
	underWay    = 16
)

// Intake takes reports.
type Intake struct {
	Options
	metrics *metrics
	room    chan struct{}

	mu       sync.Mutex
	services map[string]*service
}

// service bounds what one service tells.
type service struct {
	level  float64 // of its bucket
	at     time.Time
	names  map[string]map[string]bool // pages, events and flags that are counted by their names
	errors map[string]*Error
	next   time.Time // when errors that were seen long ago are looked for
}

// New makes an Intake.
func New(o Options) *Intake {
	if o.Rate == 0 {
		o.Rate = defaultRate
	}
	return &Intake{Options: o, metrics: newMetrics(o.Registry, o.Unit), room: make(chan struct{}, underWay), services: map[string]*service{}}
}

// Tell says with a page what it is: the version, the ring, and variants of flags.
func (in *Intake) Tell(h http.Header, v gateway.Visit) {
	said := v.Version + ";" + v.Ring
	if in.Variants != nil && len(v.Settings.Flags) > 0 {
		said += ";" + strings.Join(in.Variants(v.Settings.Flags, v.Key, v.Attributes), ",")
	}
	h.Add("Server-Timing", "rf;desc="+strconv.Quote(strings.Map(plain, said)))
}

func plain(r rune) rune {
	if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
		return -1
	}
	return r
}

// Serve answers for the script, and takes reports.
func (in *Intake) Serve(w http.ResponseWriter, r *http.Request, v gateway.Visit) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if strings.HasSuffix(r.URL.Path, ".js") {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		serveScript(w, r)
		return
	}
	if r.Method != http.MethodPost {
		h.Set("Allow", "POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	h.Set("Cache-Control", "no-store")
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(5 * time.Second)) // one that comes slowly takes room from others
	if why := in.take(r, v); why != "" {
		in.metrics.refused.WithLabelValues(v.Service, in.Unit, why).Inc()
		if h.Set("Connection", "close"); r.ProtoMajor > 1 { // what is left of the body is not waited for
			h.Del("Connection")
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// take takes one report in, or says why not.
func (in *Intake) take(r *http.Request, v gateway.Visit) string {
	switch {
	case r.Header.Get("DNT") == "1", r.Header.Get("Sec-GPC") == "1":
		return "private"
	case foreign(r):
		return "origin"
	case r.ContentLength > maxReport:
		return "size"
	case !in.admit(v.Service):
		return "rate"
	}
	select {
	case in.room <- struct{}{}:
		defer func() { <-in.room }()
	default:
		return "busy"
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxReport+1))
	if err != nil || len(body) > maxReport {
		return "size"
	}
	told, err := read(body)
	if err != nil {
		return "invalid"
	}
	in.count(told, v)
	return ""
}

// foreign reports whether a page of another origin sends.
func foreign(r *http.Request) bool {
	if s := r.Header.Get("Sec-Fetch-Site"); s != "" && s != "same-origin" && s != "none" {
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" || origin == "null" {
		return origin == "null"
	}
	u, err := url.Parse(origin)
	return err != nil || !strings.EqualFold(u.Host, r.Host)
}

// admit takes from a service's bucket.
func (in *Intake) admit(name string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	s, now, burst := in.service(name), time.Now(), 5*in.Rate
	s.level = min(burst, s.level+in.Rate*now.Sub(s.at).Seconds())
	if s.at.IsZero() {
		s.level = burst
	}
	s.at = now
	if s.level < 1 {
		return false
	}
	s.level--
	return true
}

// service is what is known of a service, from now on. in.mu is held.
func (in *Intake) service(name string) *service {
	s := in.services[name]
	if s == nil {
		s = &service{names: map[string]map[string]bool{}, errors: map[string]*Error{}}
		in.services[name] = s
	}
	return s
}

// named is a name that may be a label: other ones are one.
func (in *Intake) named(service, kind, name string, most int) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := in.service(service)
	if s.names[kind] == nil {
		s.names[kind] = map[string]bool{}
	}
	if known := s.names[kind]; !known[name] {
		if len(known) >= most {
			return other
		}
		known[name] = true
	}
	return name
}

// Forget drops what services that are gone have told.
func (in *Intake) Forget(service string) {
	in.mu.Lock()
	delete(in.services, service)
	in.mu.Unlock()
	in.metrics.drop(service)
}

var _ gateway.Pages = (*Intake)(nil)
