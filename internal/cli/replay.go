package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/replay"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// again is what the flags of replay say.
type again struct {
	gates, evidence string
	save            bool
}

func replayCommand(e *env) *cobra.Command {
	var a again
	cmd := &cobra.Command{
		Use:   "replay ROLLOUT|SERVICE",
		Short: "Decide a recorded rollout again, by its own gates or by others",
		Long: `Takes the evidence that was recorded of a rollout and decides each of its rings again, by the same code as then: when it
would have been left, and how. With --gates the gates are those of a RingPlan in a file, so that one can see what they would
have done. A ring is judged on the traffic that it had; what would have come after it was left cannot be told.`,
		Example: `  ringfence replay shop-7
  ringfence replay shop --gates stricter.yaml --json
  ringfence replay shop-7 --save > evidence.json
  ringfence replay -f evidence.json --gates stricter.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (a.evidence == "") == (len(args) == 0) {
				return errs.E(errs.Invalid, "expected either a rollout or, with -f, a file of evidence")
			}
			gates, err := a.others(cmd.InOrStdin())
			if err != nil {
				return err
			}
			ev, err := a.read(cmd, e, args, gates)
			if err != nil {
				return err
			}
			if a.save {
				return printJSON(cmd.OutOrStdout(), ev)
			}
			r, err := replay.Run(ev, gates)
			if err != nil {
				return err
			}
			return e.show(cmd, r, func(w io.Writer) { showReplay(w, r) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&a.gates, "gates", "", "a file with a RingPlan, whose gates decide in place of the recorded ones")
	f.StringVarP(&a.evidence, "filename", "f", "", "read the evidence from a file, or - for standard input; needs no server")
	f.BoolVar(&a.save, "save", false, "print the evidence itself, for -f")
	return cmd
}

// others are the gates of the file, nil for those that were recorded.
func (a again) others(stdin io.Reader) ([]rollout.Gate, error) {
	if a.gates == "" {
		return nil, nil
	}
	if a.gates == "-" && a.evidence == "-" {
		return nil, errs.E(errs.Invalid, "--gates and -f cannot both be standard input")
	}
	sources, err := manifest.Load([]string{a.gates}, stdin)
	if err != nil {
		return nil, err
	}
	set, problems := manifest.Read(sources)
	if len(problems) > 0 {
		return nil, errs.Wrap(errs.Invalid, manifest.Problems(problems), "the file cannot be used")
	}
	plans := slices.DeleteFunc(slices.Clone(set.Resources), func(r resource.Resource) bool { return r.Kind != resource.KindRingPlan })
	if len(plans) != 1 {
		return nil, errs.E(errs.Invalid, "%s holds %d plans, expected one RingPlan with the gates", a.gates, len(plans))
	}
	plan, err := resource.As[resource.RingPlan](plans[0])
	return replay.GatesOf(plan), err
}

func (a again) read(cmd *cobra.Command, e *env, args []string, gates []rollout.Gate) (replay.Evidence, error) {
	if a.evidence == "" {
		histograms := a.save || slices.ContainsFunc(gates, func(g rollout.Gate) bool { return g.Signal == health.SignalQuantile })
		return ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (replay.Evidence, error) {
			return c.Evidence(ctx, args[0], histograms)
		})
	}
	var ev replay.Evidence
	raw, err := readCase(a.evidence, cmd.InOrStdin())
	if err != nil {
		return ev, err
	}
	if err := json.Unmarshal(raw, &ev); err != nil {
		return ev, errs.Wrap(errs.Invalid, err, "%s is no evidence as --save prints it", a.evidence)
	}
	return ev, nil
}

func showReplay(w io.Writer, r replay.Report) {
	c := colours(w)
	fmt.Fprintf(w, "%s  %s → %s  decided again by %s\n\n", c.bold(printable(r.Rollout)), printable(r.From), printable(r.To), printable(strings.Join(r.Gates, ", ")))
	rows := make([][]string, len(r.Rings))
	for i, ring := range r.Rings {
		rows[i] = []string{ring.Name, fmt.Sprint(ring.Users), spoken(ring.Then, ring.Entered), spoken(ring.Now, ring.Entered), changed(ring)}
	}
	table(w, []string{"RING", "USERS THEN", "THEN", "NOW", "CHANGE"}, rows)
	for _, ring := range r.Rings {
		if ring.Now.Why != "" {
			fmt.Fprintf(w, "\n%s: %s", printable(ring.Name), printable(strings.TrimPrefix(ring.Now.Why, "ring "+ring.Name+": ")))
		}
		for _, n := range ring.Notes {
			fmt.Fprintf(w, "\n%s: %s", printable(ring.Name), printable(n))
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "\n%s", printable(n))
	}
	fmt.Fprintln(w)
}

// spoken says what was decided, and how long after the ring was entered.
func spoken(d replay.Decision, entered time.Time) string {
	words := map[string]string{replay.Passed: "passed", replay.RolledBack: "rolled back", replay.Halted: "halted", replay.Waiting: "waiting",
		replay.Superseded: "given up", replay.Unreached: "not reached"}
	if d.At == nil {
		return words[d.What]
	}
	return words[d.What] + " after " + length(d.At.Sub(entered))
}

func changed(r replay.Ring) string {
	switch r.Change {
	case "earlier":
		return length(-time.Duration(r.Seconds*float64(time.Second))) + " earlier"
	case "later":
		return length(time.Duration(r.Seconds*float64(time.Second))) + " later"
	case "other":
		return "decided otherwise"
	}
	return "same"
}

// length is a time to the second, or to the minute where it is long.
func length(d time.Duration) string {
	unit := time.Second
	if d >= time.Hour {
		unit = time.Minute
	}
	return fleet.Dur(d.Round(unit)).String()
}
