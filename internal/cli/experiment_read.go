package cli

import (
	"strconv"

	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/resource"
)

// maxExperiment is the largest file of summaries.
const maxExperiment = 1 << 20

// experimentFile is what experiment analyze reads.
type experimentFile struct {
	Metric     string            `json:"metric" enum:"proportion,mean,ratio,quantile"`
	Method     string            `json:"method,omitempty" enum:"sequential,welch,bayesian"`
	Difference string            `json:"difference,omitempty" enum:"relative,absolute"`
	Alpha      float64           `json:"alpha,omitempty" minimum:"0.000001" maximum:"0.49"`
	Tuning     float64           `json:"tuning,omitempty" minimum:"1"`
	Variants   []variantFile     `json:"variants" minItems:"2" maxItems:"20"`
	Name       string            `json:"name,omitempty" maxLength:"200"`
	Direction  string            `json:"direction,omitempty" enum:"increase,decrease"`
	Quantile   float64           `json:"quantile,omitempty" minimum:"0.01" maximum:"0.9999"`
	Prior      *experiment.Prior `json:"prior,omitempty"`
	Correction string            `json:"correction,omitempty" enum:"holm,benjamini-hochberg,none"`
	Minimum    int64             `json:"minimumSample,omitempty" minimum:"1"`
	Planned    int64             `json:"plannedSample,omitempty" minimum:"1"`
	Multiple   int64             `json:"multiple,omitempty" minimum:"0" maximum:"1000000000000000"`
}

// moments are of one quantity, as mean and standard deviation or as sums.
type moments struct {
	Mean       *float64 `json:"mean,omitempty"`
	StdDev     *float64 `json:"stddev,omitempty" minimum:"0"`
	Sum        *float64 `json:"sum,omitempty"`
	SumSquares *float64 `json:"sumSquares,omitempty" minimum:"0"`
}

// joints are of two quantities each, of which the metric goes unsaid.
type joints struct {
	Denominator                    *float64 `json:"denominator,omitempty"`
	Covariate                      *float64 `json:"covariate,omitempty"`
	CovariateDenominator           *float64 `json:"covariateDenominator,omitempty"`
	DenominatorCovariate           *float64 `json:"denominatorCovariate,omitempty"`
	DenominatorCovariateDenom      *float64 `json:"denominatorCovariateDenominator,omitempty"`
	CovariateCovariateDenominators *float64 `json:"covariateCovariateDenominator,omitempty"`
}

type variantFile struct {
	Name       string   `json:"name" maxLength:"200"`
	N          int64    `json:"n" minimum:"0" maximum:"1000000000000000"`
	Weight     float64  `json:"weight,omitempty" minimum:"0.000000001"`
	Mean       *float64 `json:"mean,omitempty"`
	StdDev     *float64 `json:"stddev,omitempty" minimum:"0"`
	Sum        *float64 `json:"sum,omitempty"`
	SumSquares *float64 `json:"sumSquares,omitempty" minimum:"0"`
	Estimate   *float64 `json:"estimate,omitempty"`
	Low        *float64 `json:"low,omitempty"`
	High       *float64 `json:"high,omitempty"`

	Denominator          *moments `json:"denominator,omitempty"`
	Covariate            *moments `json:"covariate,omitempty"`
	CovariateDenominator *moments `json:"covariateDenominator,omitempty"`
	Covariances          *joints  `json:"covariances,omitempty"`
	Products             *joints  `json:"products,omitempty"`
}

var readExperimentFile = resource.Reader[experimentFile]()

// readExperiment turns a file into what Analyze takes.
func readExperiment(raw []byte) (experiment.Spec, experiment.Data, []resource.Problem) {
	f, problems := readExperimentFile(raw)
	if len(problems) > 0 {
		return experiment.Spec{}, experiment.Data{}, problems
	}
	r := summaryReader{kind: experiment.Kind(f.Metric), quantile: f.Quantile}
	metric := experiment.Metric{Name: f.Name, Kind: r.kind, Direction: experiment.Direction(f.Direction), Quantile: f.Quantile}
	if f.Name == "" {
		metric.Name = "the " + f.Metric
	}
	spec := experiment.Spec{Primary: metric, Method: experiment.Method(f.Method), Difference: experiment.Difference(f.Difference), Alpha: f.Alpha, Tuning: f.Tuning,
		Prior: f.Prior, Correction: experiment.Correction(f.Correction), Minimum: f.Minimum, Planned: f.Planned}
	data := experiment.Data{Multiple: f.Multiple}
	if (r.kind == experiment.Quantile) != (f.Quantile != 0) {
		r.add("quantile", "which one, for the metric quantile and no other", "got %v for the metric %s", f.Quantile, f.Metric)
	}
	seen := map[string]bool{}
	var all []experiment.Summary
	for i, v := range f.Variants {
		at := "variants[" + strconv.Itoa(i) + "]"
		if v.Name == "" || seen[v.Name] {
			r.add(at+".name", "a name that no other variant has", "got %q", v.Name)
		}
		seen[v.Name] = true
		if (v.Covariate == nil) != (f.Variants[0].Covariate == nil) {
			r.add(at+".covariate", "one in every variant or in none", "some variants have one")
		}
		spec.Variants = append(spec.Variants, experiment.Variant{Name: v.Name, Weight: v.Weight})
		data.Users = append(data.Users, v.N)
		all = append(all, r.summary(at, v))
	}
	data.Metrics = map[string][]experiment.Summary{metric.Name: all}
	if len(r.problems) == 0 {
		if err := spec.Validate(); err != nil {
			r.add("", "an experiment", "%v", err)
		}
	}
	return spec, data, r.problems
}
