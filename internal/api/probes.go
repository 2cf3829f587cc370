package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/probing"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/synthetic"
)

// Probes say what probers saw.
type Probes interface {
	List() []probing.Status
	Show(name string) (probing.Status, error)
	Compare(name, newer, stable string, gate resource.ProbeGate) (synthetic.Comparison, error)
	Probers() []probing.Prober
}

// Probing is what probers ask, and tell.
type Probing interface {
	Jobs(ctx context.Context, prober string) ([]synthetic.Job, error)
	Take(ctx context.Context, prober string, rounds []synthetic.Round, dropped int64) (int, error)
	RunNow(ctx context.Context, probe string) ([]synthetic.Round, error)
}

func (s *Server) probes() {
	const path = "/v1/probes"
	if s.Probes == nil {
		s.Probes, s.Probing = nobody{}, nobody{}
	}
	register(s, operation{method: http.MethodGet, path: path, id: "listProbes", tag: "probes", summary: "Lists probes as they are, and who looks",
		route: route{action: policy.Read}}, func(context.Context, *none) (*answered[wire.Probes], error) {
		return &answered[wire.Probes]{wire.Probes{Items: s.Probes.List(), Probers: s.Probes.Probers()}}, nil
	})
	register(s, operation{method: http.MethodGet, path: path + "/{probe}", id: "showProbe", tag: "probes", summary: "Shows what was seen of a probe",
		route: route{action: policy.Read}}, func(_ context.Context, in *ByProbe) (*answered[probing.Status], error) {
		st, err := s.Probes.Show(in.Probe)
		return &answered[probing.Status]{st}, err
	})
	register(s, operation{method: http.MethodGet, path: path + "/{probe}/comparison", id: "compareProbe", tag: "probes",
		summary: "Compares what was seen of two versions", route: route{action: policy.Read}}, s.compareProbe)
	register(s, operation{method: http.MethodPost, path: path + "/{probe}/run", id: "runProbe", tag: "probes", summary: "Looks once, now, from the control plane",
		about: "What it sees is answered and kept nowhere.", route: route{action: policy.Decide, timeout: 2 * time.Minute}}, s.runProbe)
	register(s, operation{method: http.MethodGet, path: "/v1/probers/{prober}/jobs", id: "getProbeJobs", tag: "probes", summary: "Answers what a prober has to look at",
		route: route{action: policy.Probe}}, s.probeJobs)
	register(s, operation{method: http.MethodPost, path: "/v1/probers/{prober}/rounds", id: "reportProbeRounds", tag: "probes", summary: "Takes what a prober saw",
		about: "Told twice, it counts once. Unknown fields are ignored: a prober may be newer than its control plane.",
		route: route{action: policy.Probe, maxBody: 4 << 20}, loose: true}, s.probeRounds)
}

// nobody looks.
type nobody struct{}

func (nobody) none() error { return errs.E(errs.Unavailable, "nobody probes here") }

func (nobody) List() []probing.Status                { return []probing.Status{} }
func (nobody) Probers() []probing.Prober             { return []probing.Prober{} }
func (n nobody) Show(string) (probing.Status, error) { return probing.Status{}, n.none() }
func (n nobody) Compare(_, _, _ string, _ resource.ProbeGate) (synthetic.Comparison, error) {
	return synthetic.Comparison{}, n.none()
}
func (n nobody) Jobs(context.Context, string) ([]synthetic.Job, error) { return nil, n.none() }
func (n nobody) Take(context.Context, string, []synthetic.Round, int64) (int, error) {
	return 0, n.none()
}
func (n nobody) RunNow(context.Context, string) ([]synthetic.Round, error) { return nil, n.none() }

// ByProbe is the part of a path that names a probe.
type ByProbe struct {
	Probe string `path:"probe" maxLength:"63" doc:"name of the probe"`
}

// ByProber is the part of a path that names a prober.
type ByProber struct {
	Prober string `path:"prober" maxLength:"63" doc:"name of the prober"`
}

type probeCompared struct {
	ByProbe
	Version  string  `query:"version" maxLength:"200" doc:"the version that is judged; default that of the newest rollout"`
	With     string  `query:"with" maxLength:"200" doc:"the version beside it; default the one before"`
	MaxRatio float64 `query:"maxRatio" doc:"largest tolerated ratio of the times; default 1.5"`
	Rounds   int     `query:"rounds" doc:"fewest rounds of both; default 10"`
}

func (s *Server) compareProbe(_ context.Context, in *probeCompared) (*answered[synthetic.Comparison], error) {
	if in.MaxRatio != 0 && (in.MaxRatio < 1 || in.MaxRatio > 1000) || in.Rounds < 0 || in.Rounds > 10_000 {
		return nil, errs.E(errs.Invalid, "maxRatio %g, rounds %d: expected 1 to 1000, and 1 to 10000", in.MaxRatio, in.Rounds)
	}
	c, err := s.Probes.Compare(in.Probe, in.Version, in.With, resource.ProbeGate{Name: in.Probe, MaxRatio: in.MaxRatio, Rounds: in.Rounds})
	return &answered[synthetic.Comparison]{c}, err
}

func (s *Server) runProbe(ctx context.Context, in *ByProbe) (*answered[wire.ProbeRun], error) {
	rounds, err := s.Probing.RunNow(ctx, in.Probe)
	if rounds == nil {
		rounds = []synthetic.Round{}
	}
	return &answered[wire.ProbeRun]{wire.ProbeRun{Rounds: rounds}}, err
}

// own refuses to be a prober of another name than that of the token: each has one vote.
func own(ctx context.Context, prober string) error {
	if who := principalOf(ctx); who.Role == policy.Prober && who.Name != prober {
		return errs.E(errs.Denied, "the token is of prober %s, not of %s", who.Name, clip(prober, 80)).Next("start it with --name %s, or make a token for the other: ringfence token create %s --role prober", who.Name, clip(prober, 80))
	}
	return nil
}

func (s *Server) probeJobs(ctx context.Context, in *ByProber) (*answered[wire.ProbeJobs], error) {
	if err := own(ctx, in.Prober); err != nil {
		return nil, err
	}
	jobs, err := s.Probing.Jobs(ctx, in.Prober)
	if jobs == nil {
		jobs = []synthetic.Job{}
	}
	return &answered[wire.ProbeJobs]{wire.ProbeJobs{Items: jobs}}, err
}

func (s *Server) probeRounds(ctx context.Context, in *struct {
	ByProber
	Body wire.ProbeRounds
}) (*answered[wire.ProbesTaken], error) {
	if err := own(ctx, in.Prober); err != nil {
		return nil, err
	}
	if len(in.Body.Rounds) > 1000 {
		return nil, errs.E(errs.Invalid, "got %d rounds, expected at most 1000", len(in.Body.Rounds))
	}
	taken, err := s.Probing.Take(ctx, in.Prober, in.Body.Rounds, max(0, in.Body.Dropped))
	return &answered[wire.ProbesTaken]{wire.ProbesTaken{Taken: taken}}, err
}
