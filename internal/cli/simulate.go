package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/simulate"
)

// simulation is what the flags of simulate say.
type simulation struct {
	plan, traffic                  string
	files                          []string
	regression, baseline, segments []string
	curve                          float64
	users                          int64
	runs                           int
	seed                           uint64
}

func simulateCommand(e *env) *cobra.Command {
	var s simulation
	cmd := &cobra.Command{
		Use:   "simulate --traffic RATE",
		Short: "Try a ring plan out against simulated traffic",
		Long: `Sends many simulated releases through a plan, decided by the same code as real ones, and says in which ring and after
how many minutes a regression would be seen, how many users it would reach, how often a healthy release would be
stopped, and which bake, size or traffic would suffice. The plan is the server's, or with -f that of a file, which needs
no server. What is not given is assumed, and the answer says what.`,
		Example: `  ringfence simulate --plan standard --traffic 500/s --regression errors=2x
  ringfence simulate -f plan.yaml --traffic 2000/min --regression errors=3% --baseline errors=0.1% --segment employees=0.5%
  ringfence simulate --plan standard --traffic 500/s --regression latency=1.5x --day-curve 5 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.read()
			if err != nil {
				return err
			}
			if err := s.fill(cmd.Context(), e, cmd.InOrStdin(), &c); err != nil {
				return err
			}
			report, err := simulate.Run(cmd.Context(), c)
			if err != nil {
				return err
			}
			return e.show(cmd, report, func(w io.Writer) { showSimulation(w, report) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.plan, "plan", "", "the plan's name; not needed with a file that holds one plan")
	f.StringArrayVarP(&s.files, "filename", "f", nil, "read the plan and its segments from a file, a folder or - for standard input; may be given several times")
	f.StringVar(&s.traffic, "traffic", "", "requests to the service, such as 500/s, 2000/min or 40/h")
	f.StringSliceVar(&s.regression, "regression", []string{"errors=2x"}, "SIGNAL=CHANGE: errors or latency, and a multiple of the baseline such as 2x or a share such as 3%")
	f.StringSliceVar(&s.baseline, "baseline", nil, "SIGNAL=SHARE, how many requests are bad before (default errors=0.5%,latency=1%)")
	f.StringSliceVar(&s.segments, "segment", nil, "NAME=SHARE of the users in a segment, or in a ring with a rule (default 1% where it cannot be told)")
	f.Float64Var(&s.curve, "day-curve", 1, "how many times the quietest moment's traffic the day's busiest has")
	f.Int64Var(&s.users, "users", simulate.DefaultUsers, "how many users the service has")
	f.IntVar(&s.runs, "runs", simulate.DefaultRuns, "how many releases of each sort are simulated")
	f.Uint64Var(&s.seed, "seed", 1, "seed of the random numbers; the same seed gives the same answer")
	_ = cmd.MarkFlagRequired("traffic") // the flag is there: it was added above
	return cmd
}

// read turns the flags into a case that lacks its plan.
func (s simulation) read() (simulate.Case, error) {
	c := simulate.Case{Name: s.plan, Users: s.users, Runs: s.runs, Seed: s.seed, DayCurve: s.curve}
	for _, f := range []struct {
		bad   bool
		words string
	}{{s.users < 1, "--users: expected at least 1"}, {s.runs < 1, "--runs: expected at least 1"}, {!(s.curve >= 1), "--day-curve: expected at least 1"}} {
		if f.bad { // 0 would be taken for left open
			return c, errs.E(errs.Invalid, "%s", f.words)
		}
	}
	if s.plan == "" && len(s.files) == 0 {
		return c, errs.E(errs.Invalid, "no plan is named").Next("Name one of the server's with --plan, or a file with -f.")
	}
	var err error
	if c.Traffic, err = simulate.ParseTraffic(s.traffic); err != nil {
		return c, errs.Wrap(errs.Invalid, err, "--traffic")
	}
	if c.Regression, err = settings("--regression", s.regression, simulate.ParseChange); err != nil {
		return c, err
	}
	if c.Baseline, err = settings("--baseline", s.baseline, simulate.ParseShare); err != nil {
		return c, err
	}
	c.Shares, err = settings("--segment", s.segments, simulate.ParseShare)
	return c, err
}

// settings reads NAME=VALUE of a flag that may be given several times.
func settings[T any](flag string, args []string, parse func(string) (T, error)) (map[string]T, error) {
	given, err := pairs(flag, args)
	if err != nil {
		return nil, err
	}
	out := map[string]T{}
	for name, value := range given {
		if out[name], err = parse(value); err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "%s %s", flag, name)
		}
	}
	return out, nil
}

// fill finds the plan and what is known of its segments.
func (s simulation) fill(ctx context.Context, e *env, stdin io.Reader, c *simulate.Case) error {
	set, err := s.resources(ctx, e, stdin)
	if err != nil {
		return err
	}
	c.Segments = map[string]resource.Segment{}
	var names []string
	for _, r := range set {
		switch r.Kind {
		case resource.KindSegment:
			if c.Segments[r.Metadata.Name], err = resource.As[resource.Segment](r); err != nil {
				return err
			}
		case resource.KindRingPlan:
			names = append(names, r.Metadata.Name)
			if s.plan != "" && s.plan != r.Metadata.Name {
				continue
			}
			c.Name = r.Metadata.Name
			if c.Plan, err = resource.As[resource.RingPlan](r); err != nil {
				return err
			}
		}
	}
	switch {
	case len(names) == 0:
		return errs.E(errs.Invalid, "no RingPlan in %s", strings.Join(s.files, ", "))
	case s.plan == "" && len(names) > 1:
		return errs.E(errs.Invalid, "there are %d plans: %s", len(names), strings.Join(names, ", ")).Next("Choose one with --plan.")
	case len(c.Plan.Rings) == 0:
		return errs.E(errs.Missing, "there is no RingPlan %q, only %s", s.plan, strings.Join(names, ", "))
	}
	return nil
}

func (s simulation) resources(ctx context.Context, e *env, stdin io.Reader) ([]resource.Resource, error) {
	if len(s.files) > 0 {
		sources, err := manifest.Load(s.files, stdin)
		if err != nil {
			return nil, err
		}
		set, problems := manifest.Read(sources)
		if len(problems) > 0 {
			return nil, errs.Wrap(errs.Invalid, manifest.Problems(problems), "the files cannot be used")
		}
		return set.Resources, nil
	}
	return ask(ctx, e, func(ctx context.Context, c *client.Client) ([]resource.Resource, error) {
		plan, err := c.Resource(ctx, resource.KindRingPlan, s.plan)
		if err != nil {
			return nil, err
		}
		segments, err := c.Resources(ctx, resource.KindSegment)
		return append(segments, plan), err
	})
}

func showSimulation(w io.Writer, r simulate.Report) {
	c := colours(w)
	fmt.Fprintf(w, "plan %s, %s requests a second, %d users, %d releases of each sort, seed %d\n", c.bold(printable(r.Plan)), figure(r.Traffic), r.Users, r.Runs, r.Seed)
	for _, s := range r.Signals {
		fmt.Fprintf(w, "%s: %s of the requests before, %s with the regression\n", s.Signal, share100(s.Baseline), share100(s.Regression))
	}
	for _, a := range r.Assumed {
		fmt.Fprintf(w, "assumed: %s\n", printable(a))
	}
	h := r.Healthy
	fmt.Fprintf(w, "\nhealthy release: stopped in %s of the runs", share100(h.StoppedShare))
	if h.HeldShare > 0 {
		fmt.Fprintf(w, ", waiting for ever in %s", share100(h.HeldShare))
	}
	if h.MedianMinutes != nil {
		fmt.Fprintf(w, ", out to everyone after %s", spell(*h.MedianMinutes))
	}
	g := r.Regression
	fmt.Fprintf(w, "\nregression: seen in %s of the runs", share100(g.DetectedShare))
	if g.HeldShare > 0 {
		fmt.Fprintf(w, ", waiting for ever in %s", share100(g.HeldShare))
	}
	fmt.Fprint(w, "\n\n")
	rows := make([][]string, len(r.Rings))
	for i, ring := range r.Rings {
		seen, after := g.ByRing[i], ""
		if seen.MedianMinutes != nil {
			after = spell(*seen.MedianMinutes)
		}
		rows[i] = []string{ring.Name, share100(ring.Share), spell(ring.BakeMinutes), share100(seen.Share), after}
	}
	table(w, []string{"RING", "USERS", "BAKE", "SEEN HERE", "MEDIAN TIME IN RING"}, rows)
	fmt.Fprintf(w, "\nexposed on average: %.0f users, %.0f user-minutes\n", g.ExposedUsers, g.ExposedUserMinutes)
	for _, a := range r.Advice {
		fmt.Fprintf(w, "- %s\n", printable(a))
	}
}

func share100(x float64) string { return strconv.FormatFloat(100*x, 'g', 3, 64) + " %" }

// spell writes minutes as a plan would: seconds only where they matter.
func spell(minutes float64) string {
	unit := time.Minute
	if minutes < 5 {
		unit = time.Second
	}
	return fleet.Dur(time.Duration(minutes * float64(time.Minute)).Round(unit)).String()
}
