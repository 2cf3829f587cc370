package sim

import (
	"math"
	"testing"

	"github.com/ringfence/ringfence/internal/experiment"
)

// The promise: looked at a hundred times, the sequential method calls a difference where there is none in at most alpha of the
// experiments, also where few users did what is counted. The fixed horizon breaks it, which shows that the test could.
func TestFalseAlarms(t *testing.T) {
	for i, p := range Populations() {
		r := Trial{Population: p, Lift: 1, Looks: 100, Each: 50, Alpha: 0.05, Methods: []experiment.Method{experiment.Sequential, experiment.Welch}}.Many(200, uint64(i))
		if r[0].Called > 0.05+3*math.Sqrt(0.05*0.95/200) {
			t.Errorf("%s: %.1f %% false alarms", p.Name, 100*r[0].Called)
		}
		if r[1].Called < 0.2 {
			t.Errorf("%s: Welch under peeking has only %.1f %%", p.Name, 100*r[1].Called)
		}
	}
}

func TestGuarded(t *testing.T) {
	errors := Populations()[1]
	if stopped := Guarded(errors, 1, 0, 50, 100, 100, 1); stopped > 0.12 {
		t.Errorf("%.0f %% of harmless treatments stopped", 100*stopped)
	}
	if stopped := Guarded(errors, 3, 0, 50, 100, 50, 2); stopped < 0.9 {
		t.Errorf("%.0f %% of harmful treatments stopped", 100*stopped)
	}
}

func TestSameSeedSameAnswer(t *testing.T) {
	run := func(seed uint64) Rates {
		return Trial{Population: Paired(0.5), Lift: 1.2, Looks: 5, Each: 100, Alpha: 0.05, Covariate: true, Methods: []experiment.Method{experiment.Welch}}.Many(50, seed)[0]
	}
	if run(1) != run(1) || run(1) == run(2) {
		t.Errorf("%+v, %+v, %+v", run(1), run(1), run(2))
	}
	if reduced := run(1).Reduced; math.Abs(reduced-0.5) > 0.05 {
		t.Errorf("a covariate that explains half took away %.2f", reduced)
	}
}
