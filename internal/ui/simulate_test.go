package ui

import (
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/simulate"
)

func TestWishesAreReadAsTheFlagsAre(t *testing.T) {
	good := wish{Plan: "p", Traffic: " 500/s ", Regression: "errors=2x, latency=5%", Baseline: "errors=0.1%", Segment: "staff=0.5%", Curve: "3", Users: "1000"}
	c, err := good.parse()
	if err != nil || c.Traffic != 500 || c.Regression["errors"].Times != 2 || c.Regression["latency"].Share != 0.05 || c.Shares["staff"] != 0.005 || c.DayCurve != 3 || c.Users != 1000 {
		t.Errorf("%+v, %v", c, err)
	}
	for words, change := range map[string]func(*wish){
		"such as 500/s": func(w *wish) { w.Traffic = "much" }, "Regression, errors": func(w *wish) { w.Regression = "errors=worse" },
		"expected name=value": func(w *wish) { w.Segment = "staff" }, "Bad before": func(w *wish) { w.Baseline = "errors=2" },
		"Day over night": func(w *wish) { w.Curve = "NaN" }, "Users": func(w *wish) { w.Users = "-3" },
	} {
		w := good
		change(&w)
		if _, err := w.parse(); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

// What is drawn stays within the picture, and the numbers beside it are those of the lines.
func TestPlots(t *testing.T) {
	lines := plotLines([]simulate.Curve{{Name: "a", Points: []simulate.XY{{X: 0, Y: 0}, {X: 10, Y: 0.5}, {X: 60, Y: 1}}}, {Name: "never", Points: []simulate.XY{{}}}})
	p := newPlot("x", "X", "", "Time", true, timeTicks(), lines)
	if len(p.Lines) != 1 || p.Lines[0].Name != "a" || p.Lines[0].Class != "c0" {
		t.Fatalf("lines %+v", p.Lines)
	}
	for _, tick := range p.XTicks {
		if tick.At < plotLeft || tick.At > plotW-plotRight {
			t.Errorf("tick %+v is outside", tick)
		}
	}
	if last := p.Rows[len(p.Rows)-1]; last.Name != "1 h" || last.Cells[0] != "100 %" {
		t.Errorf("rows %+v", p.Rows)
	}
	even := newPlot("x", "X", "", "Bake", false, evenTicks(60), lines)
	if got := even.Rows[1]; got.Name != "15 min" || got.Cells[0] != "55 %" {
		t.Errorf("rows %+v", even.Rows)
	}
	if p := newPlot("x", "X", "", "", true, timeTicks(), plotLines([]simulate.Curve{{Points: []simulate.XY{{}}}})); p != nil {
		t.Errorf("a plot of nothing: %+v", p)
	}
	if ticks := evenTicks(90 * 24 * 60); len(ticks) < 3 || len(ticks) > 8 {
		t.Errorf("ticks %v", ticks)
	}
}
