package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/health"
)

// maxCase is the largest case that is read: a million samples with room to spare.
const maxCase = 256 << 20

func verdictCommand(e *env) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "verdict -f FILE",
		Short: "Judge samples offline, as a rollout would",
		Long: `Judges a case with the same code and the same defaults as a rollout. Which samples it has depends on the gate's signal:
errors and latency have counts of requests, quantile has histograms, query, webhook, command and probe have readings,
and series ("compare":"distribution") has two series of a metric, null for a missing value. The exit status is 0 for any
verdict, and 2 for a wrong case.`,
		Example: `  ringfence verdict -f case.json --json
  echo '{"samples":[{"canary":{"requests":100,"bad":9},"stable":{"requests":1900,"bad":9}}]}' | ringfence verdict -f -
  echo '{"gate":{"signal":"quantile","max":0.5},"samples":[{"bounds":[0.1,0.5,1],"canary":[50,900,40,9],"stable":[90,900,9,0]}]}' | ringfence verdict -f -
  echo '{"gate":{"signal":"query","max":0.05},"readings":[0.01,null,0.2]}' | ringfence verdict -f -
  echo '{"gate":{"compare":"distribution"},"series":{"canary":[0,1,2,1,0,0],"stable":[0,0,0,0,0,0]}}' | ringfence verdict -f -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			raw, err := readCase(path, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return judge(e, cmd, raw)
		},
	}
	cmd.Flags().StringVarP(&path, "filename", "f", "", "the case, or - for standard input")
	_ = cmd.MarkFlagRequired("filename") // the flag is there: it was added above
	return cmd
}

func judge(e *env, cmd *cobra.Command, raw []byte) error {
	var j health.Judgement
	switch health.FormOf(raw) {
	case health.FormSeries:
		gate, series, err := health.ParseDistribution(raw)
		if err != nil {
			return err
		}
		j := health.JudgeDistribution(gate, series)
		return e.show(cmd, j, func(w io.Writer) { showDistribution(w, j) })
	case health.FormHistograms:
		gate, samples, err := health.ParseHistograms(raw)
		if err != nil {
			return err
		}
		j = health.JudgeQuantile(gate, samples)
	case health.FormReadings:
		gate, readings, err := health.ParseReadings(raw)
		if err != nil {
			return err
		}
		j = health.JudgeReadings(gate, readings)
	default:
		gate, samples, err := health.ParseCase(raw)
		if err != nil {
			return err
		}
		j = health.Judge(gate, samples)
	}
	return e.show(cmd, j, func(w io.Writer) { showJudgement(w, j) })
}

func readCase(path string, stdin io.Reader) ([]byte, error) {
	from := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "cannot read the case")
		}
		defer f.Close()
		from = f
	}
	raw, err := io.ReadAll(io.LimitReader(from, maxCase+1))
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "cannot read the case")
	}
	if len(raw) > maxCase {
		return nil, errs.E(errs.Invalid, "the case is larger than %d MiB", maxCase>>20)
	}
	return raw, nil
}

func showJudgement(w io.Writer, j health.Judgement) {
	ev, what := j.Evidence, "sample"
	fmt.Fprintf(w, "%s: %s\n", verdict(j.Verdict, colours(w)), strings.Join(j.Reasons, "; "))
	switch {
	case ev.Quantile != nil:
		fmt.Fprintf(w, "e %s of %s, p %s, new %s of %d requests, stable %s of %d\n", figure(ev.E), figure(ev.Threshold), figure(ev.PValue),
			band(ev.Quantile.Canary), ev.CanaryRequests, band(ev.Quantile.Stable), ev.StableRequests)
	case ev.Readings != nil:
		what = "reading"
		fmt.Fprintf(w, "%d readings, %d bad, %d without data; %d bad in a row\n", ev.Readings.Count, ev.Readings.Bad, ev.Readings.NoData, ev.Readings.InARow)
	default:
		fmt.Fprintf(w, "e %s of %s, p %s, new %s bad, stable %s bad\n", figure(ev.E), figure(ev.Threshold), figure(ev.PValue),
			ratio(ev.CanaryBad, ev.CanaryRequests), ratio(ev.StableBad, ev.StableRequests))
	}
	if j.StoppedAt != nil {
		fmt.Fprintf(w, "stopped at %s %d\n", what, *j.StoppedAt)
	}
}

// band is a quantile between its bounds, in seconds.
func band(b health.Bounds) string {
	from, to := "0", "any"
	if b.Lower != nil {
		from = figure(*b.Lower)
	}
	if b.Upper != nil {
		to = figure(*b.Upper)
	}
	if b.Estimate == nil {
		return from + " to " + to + " s"
	}
	return fmt.Sprintf("%s s (%s to %s)", figure(*b.Estimate), from, to)
}

func showDistribution(w io.Writer, j health.DistributionJudgement) {
	fmt.Fprintf(w, "%s: %s\n", verdict(j.Verdict, colours(w)), strings.Join(j.Reasons, "; "))
	if ev := j.Evidence.SequentialEvidence; ev != nil {
		fmt.Fprintf(w, "e %s of %s, p %s, %d windows, higher in %d, lower in %d\n", figure(ev.E), figure(ev.Threshold), figure(ev.PValue), ev.Windows, ev.Higher, ev.Lower)
	}
	if ev := j.Evidence.MannWhitneyEvidence; ev != nil {
		fmt.Fprintf(w, "%s, %d values of new, %d of stable\n", ev.Classification, j.Evidence.CanaryPoints, j.Evidence.StablePoints)
	}
	if j.StoppedAt != nil {
		fmt.Fprintf(w, "stopped at window %d\n", *j.StoppedAt)
	}
}
