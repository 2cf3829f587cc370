package sim

import (
	"slices"

	"github.com/ringfence/ringfence/internal/health"
)

// Reported is a bad canary that Kayenta passes, as somebody reported it.
type Reported struct {
	Name   string
	Series health.Series
}

// Cases are the four of the research.
func Cases() []Reported {
	ones, none := slices.Repeat([]float64{1}, 10), slices.Repeat([]float64{0}, 10)
	return []Reported{
		{"spinnaker #6278, 7 of 10 values 100 times stable's", health.Series{Canary: []float64{100, 100, 100, 100, 100, 100, 100, 1, 1, 1}, Stable: ones}},
		{"spinnaker #5622, errors where stable has none", health.Series{Canary: []float64{0, 0.048, 0, 0.18, 0.089, 0, 0.098, 0.035, 0, 0}, Stable: none}},
		{"kayenta #426, sparse errors", health.Series{Canary: []float64{0, 1, 2, 1, 0, 0}, Stable: none[:6]}},
		{"kayenta #780 case 1, another spread", health.Series{
			Canary: []float64{10, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 17, 17.1, 17.2, 17.3, 17.4, 17.5, 17.6, 17.7},
			Stable: []float64{1, 100, 4, 101, 5, 102, 6, 103, 7, 104, 8, 105, 9, 106, 17}}},
	}
}

// Verdicts are what the default gate of two series says, and what Kayenta's judge does.
func (r Reported) Verdicts() (ours, kayenta health.DistributionJudgement) {
	k := Kayenta()
	k.Direction = health.DirectionEither
	return health.JudgeDistribution(health.DistributionGate{Compare: health.CompareDistribution}, r.Series), health.JudgeDistribution(k, r.Series)
}
