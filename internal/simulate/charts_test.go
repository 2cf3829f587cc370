package simulate

import (
	"reflect"
	"testing"
)

// The curves say what the report says.
func TestChartsAgreeWithTheReport(t *testing.T) {
	c := standard()
	c.Runs, c.Traffic = 300, 20
	r, ch, err := Explore(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r, simulated(t, c)) {
		t.Error("the report is another one than without curves")
	}
	for i, line := range ch.Detected {
		last := line.Points[len(line.Points)-1]
		near(t, line.Name+": seen at last", last.Y, r.Regression.ByRing[i].Share, 1e-9)
	}
	if n := len(r.Needs); len(ch.Bake) != n || len(ch.Size) != n {
		t.Fatalf("%d and %d curves of power for %d rings", len(ch.Bake), len(ch.Size), n)
	}
	for i, need := range r.Needs {
		for _, points := range [][]XY{ch.Bake[i].Points, ch.Size[i].Points} {
			for k, p := range points {
				if p.Y < 0 || p.Y > 1 || k > 0 && (p.X <= points[k-1].X || p.Y < points[k-1].Y-0.15) {
					t.Errorf("%s: %v after %v", need.Ring, p, points[k-1])
				}
			}
		}
		near(t, need.Ring+": power in its own bake", ch.Bake[i].Points[curvePoints/4].Y, need.Power, 0.1)
	}
	if last := ch.Exposed[len(ch.Exposed)-1]; last.Y != 1 {
		t.Errorf("the most exposed: %v", last)
	}
}
