package cli

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/manifest"
)

func experimentCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:   "experiment",
		Short: "Find out whether a change was worth it",
		Example: `  ringfence experiment analyze -f data.json
  ringfence experiment analyze -f data.json --json`,
	})
	cmd.AddCommand(experimentAnalyzeCommand(e), experimentListCommand(e), experimentShowCommand(e), experimentStartCommand(e), experimentStopCommand(e))
	return cmd
}

func experimentAnalyzeCommand(e *env) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "analyze -f FILE",
		Short: "Read an experiment from summaries of its variants, without a server",
		Long: `Compares each variant with the first one, the control, in one metric, and says what to do: ship, stop, keep running, or
broken when the numbers cannot be trusted. The exit status is 0 for any reading, and 2 for a wrong file.

  metric       proportion, mean, ratio or quantile
  method       sequential (default): may be looked at any time; welch: once, at the planned size; bayesian: chance to win
  difference   relative (default): 0.05 is 5 % more; or absolute
  alpha        chance of a false alarm, default 0.05
  tuning       sequential: the number of users at which it sees most, default 5000
  variants     two or more, the control first:
    name, n    its name, and how many users it has
    weight     its share of the users beside the others' weights, default 1; for the check of shares
    sum        proportion: how many did it; mean: the sum, with stddev or sumSquares
    mean, stddev
               mean; also a ratio whose standard deviation is that of the delta method
    estimate, low, high
               quantile, and a 95 % interval for it
    denominator, covariate, covariateDenominator
               mean and stddev, or sum and sumSquares: of what a ratio is for each, and of the same from before the
               experiment, which takes away what users differed in anyway (CUPED)
    covariances or products
               of these with the metric and each other, as n - 1 (a proportion: n) divides them or as sums of products:
               denominator, covariate, covariateDenominator, denominatorCovariate,
               denominatorCovariateDenominator, covariateCovariateDenominator
  name         what the metric is called in the reading
  direction    increase (default) or decrease: which change is good
  quantile     which, for the metric quantile
  prior        bayesian: {"mean": 0, "stddev": 0.3} of the relative effect, default none
  correction   for several treatments: holm (default), benjamini-hochberg or none
  minimumSample, plannedSample
               users in each variant before anything is read (default 100), and in all at which the experiment ends
  multiple     users who were seen in several variants`,
		Example: `  ringfence experiment analyze -f data.json --json
  echo '{"metric":"proportion","variants":[{"name":"control","n":3400,"sum":391},{"name":"new","n":3461,"sum":502}]}' | ringfence experiment analyze -f -
  echo '{"metric":"mean","method":"welch","difference":"absolute","variants":[{"name":"a","n":3407,"mean":0.41,"stddev":3.9},{"name":"b","n":3461,"mean":0.7,"stddev":6.2}]}' | ringfence experiment analyze -f - --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			spec, data, err := loadExperiment(path, cmd.InOrStdin())
			if err != nil {
				return err
			}
			r, err := experiment.Analyze(spec, data)
			if err != nil {
				return err
			}
			return e.show(cmd, experimentAnswer(r), func(w io.Writer) { showExperiment(w, r, data) })
		},
	}
	cmd.Flags().StringVarP(&path, "filename", "f", "", "the summaries, JSON or YAML, or - for standard input")
	_ = cmd.MarkFlagRequired("filename") // the flag is there: it was added above
	return cmd
}

func loadExperiment(path string, stdin io.Reader) (experiment.Spec, experiment.Data, error) {
	raw, err := readCase(path, stdin)
	if err != nil {
		return experiment.Spec{}, experiment.Data{}, err
	}
	name := path
	if path == "-" {
		name = "stdin"
	}
	doc, problems := manifest.ReadDocument(manifest.Source{Name: name, Data: raw}, maxExperiment)
	if len(problems) == 0 {
		spec, data, found := readExperiment(doc.Raw)
		if len(found) == 0 {
			return spec, data, nil
		}
		problems = doc.Locate(found)
	}
	return experiment.Spec{}, experiment.Data{}, errs.Wrap(errs.Invalid, manifest.Problems(problems), "the experiment cannot be read")
}

// analysis is the answer for scripts: the first treatment's numbers, and with several treatments those of each. What the method does not
// have, or there is no estimate for, is left out.
type analysis struct {
	Effect   *float64                `json:"effect,omitempty"`
	CI       *experiment.Interval    `json:"ci,omitempty"`
	PValue   *float64                `json:"pValue,omitempty"`
	Adjusted *float64                `json:"adjustedPValue,omitempty"`
	Chance   *float64                `json:"chanceToWin,omitempty"`
	Loss     *float64                `json:"expectedLoss,omitempty"`
	Reduced  *float64                `json:"varianceReduction,omitempty"`
	Problem  string                  `json:"problem,omitempty"`
	SRM      experiment.Mismatch     `json:"srm"`
	Decision experiment.Decision     `json:"decision"`
	Reading  string                  `json:"reading"`
	Variants []experiment.Comparison `json:"variants,omitempty"`
}

func experimentAnswer(r experiment.Report) analysis {
	all := r.Metrics[0].Treatments
	c := all[0]
	a := analysis{Effect: c.Effect, CI: c.CI, PValue: c.PValue, Adjusted: c.Adjusted, Chance: c.Chance, Loss: c.Loss, Reduced: c.Reduced, Problem: c.Problem,
		SRM: r.Mismatch, Decision: r.Reading.Decision, Reading: r.Reading.String()}
	if len(all) > 1 {
		a.Variants = all
	}
	return a
}

func showExperiment(w io.Writer, r experiment.Report, data experiment.Data) {
	c, m := colours(w), r.Metrics[0]
	word := map[experiment.Decision]func(string) string{experiment.Ship: c.green, experiment.Stop: c.red, experiment.Broken: c.red}[r.Reading.Decision]
	if word == nil {
		word = c.yellow
	}
	fmt.Fprintf(w, "%s: %s\n\n", word(string(r.Reading.Decision)), printable(r.Reading.Why))
	evidence := "P"
	if r.Method == experiment.Bayesian {
		evidence = "CHANCE TO WIN"
	}
	control := data.Metrics[m.Name][0]
	rows := [][]string{{control.Name, strconv.FormatInt(control.N, 10), optional(m.Treatments[0].Control), "", "", ""}}
	for i, t := range m.Treatments {
		interval := ""
		if t.CI != nil {
			interval = m.Difference.Text(t.CI[0]) + " to " + m.Difference.Text(t.CI[1])
		}
		effect := ""
		if t.Effect != nil {
			effect = m.Difference.Text(*t.Effect)
		}
		seen := t.PValue
		if r.Method == experiment.Bayesian {
			seen = t.Chance
		}
		rows = append(rows, []string{t.Variant, strconv.FormatInt(data.Users[i+1], 10), optional(t.Value), effect, interval, optional(seen)})
	}
	table(w, []string{"VARIANT", "USERS", "VALUE", "EFFECT", fmt.Sprintf("%.4g %%", 100*(1-r.Alpha)), evidence}, rows)
	for _, t := range m.Treatments {
		if t.Reduced != nil {
			fmt.Fprintf(w, "%s: the covariate took away %.3g %% of the variance\n", printable(t.Variant), 100**t.Reduced)
		}
	}
	if !r.Mismatch.Broken {
		fmt.Fprintf(w, "users landed in the shares that were meant (p %s)\n", figure(r.Mismatch.PValue))
	}
}

func optional(v *float64) string {
	if v == nil {
		return ""
	}
	return figure(*v)
}
