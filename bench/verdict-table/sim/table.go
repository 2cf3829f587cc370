package sim

import "github.com/ringfence/ringfence/internal/health"

const baseline = 0.005

// ComparisonOnly is the gate of the table: errors against stable, without an absolute limit beside it.
func ComparisonOnly(alpha float64) health.Gate {
	return health.Gate{Alpha: alpha, MaxShare: 1}
}

// Table is the published simulation: the baseline has 0.5 % errors and there are 60 one-minute samples unless said
// otherwise. The numbers are its e-process column, at alpha 0.01.
func Table() []Scenario {
	return []Scenario{
		hour("20/20 healthy", 20, 20, baseline, Expected{Stopped: 0.1, Runs: 4000}),
		hour("20/20 5 %", 20, 20, 0.05, Expected{Stopped: 100, Minute: 14, Runs: 4000}),
		hour("100/100 healthy", 100, 100, baseline, Expected{Stopped: 0.4, Runs: 4000}),
		hour("100/100 0.75 %", 100, 100, 0.0075, Expected{Stopped: 9.6, Runs: 4000}),
		hour("100/100 1 %", 100, 100, 0.01, Expected{Stopped: 47.6, Minute: 35, Runs: 4000}),
		hour("100/100 2 %", 100, 100, 0.02, Expected{Stopped: 100, Minute: 12, Runs: 4000}),
		hour("100/1900 healthy", 100, 1900, baseline, Expected{Stopped: 0.4, Runs: 4000}),
		hour("100/1900 0.75 %", 100, 1900, 0.0075, Expected{Stopped: 24.5, Runs: 4000}),
		hour("100/1900 1 %", 100, 1900, 0.01, Expected{Stopped: 88.0, Minute: 29, Runs: 4000}),
		hour("1000/1000 healthy", 1000, 1000, baseline, Expected{Stopped: 0.5, Runs: 4000}),
		hour("1000/1000 0.75 %", 1000, 1000, 0.0075, Expected{Stopped: 98.2, Runs: 4000}),
		hour("1000/1000 1 %", 1000, 1000, 0.01, Expected{Stopped: 100, Minute: 8, Runs: 4000}),
		ramp("ramp 1-5-25-50 % healthy", baseline, Expected{Stopped: 0.4, Runs: 4000}),
		ramp("ramp 1-5-25-50 % 2x", 2*baseline, Expected{Stopped: 100, Minute: 33, Runs: 4000}),
		ramp("ramp 1-5-25-50 % 10x", 10*baseline, Expected{Stopped: 100, Minute: 5.5, Runs: 4000}),
	}
}

// Day is a healthy canary over 24 hours, judged each minute.
func Day(canary, stable int64) Scenario {
	return Scenario{Name: "24 h healthy", Steps: []Step{{Minutes: 24 * 60, Canary: canary, Stable: stable}}, CanaryBad: baseline, StableBad: baseline}
}

func hour(name string, canary, stable int64, bad float64, table Expected) Scenario {
	return Scenario{Name: name, Steps: []Step{{Minutes: 60, Canary: canary, Stable: stable}}, CanaryBad: bad, StableBad: baseline, Table: table}
}

// ramp gives the canary more and more of 2,000 requests a minute, a quarter of an hour each.
func ramp(name string, bad float64, table Expected) Scenario {
	sc := Scenario{Name: name, CanaryBad: bad, StableBad: baseline, Table: table}
	for _, percent := range []int64{1, 5, 25, 50} {
		sc.Steps = append(sc.Steps, Step{Minutes: 15, Canary: 20 * percent, Stable: 2000 - 20*percent})
	}
	return sc
}

// Healthy reports whether the canary is as good as stable, so that every stop is a false one.
func (sc Scenario) Healthy() bool { return sc.CanaryBad <= sc.StableBad }
