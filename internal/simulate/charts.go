package simulate

import (
	"context"
	"math"
	"slices"
	"time"
)

// Charts are curves to look at beside a report.
type Charts struct {
	Detected []Curve // by ring: minutes since the first ring got it, share of the releases stopped there by then
	Exposed  []XY    // user-minutes, share of the releases that expose no more
	Bake     []Curve // by ring alone: minutes of bake, power
	Size     []Curve // by ring alone in its bake: share of the users, power
}

// Curve is one line of a chart.
type Curve struct {
	Name   string
	Points []XY
}

// XY is a point of it.
type XY struct{ X, Y float64 }

const (
	chartRuns  = 200 // on which a point of power rests
	chartSizes = 9
	smallest   = 0.0005 // share of the users from which sizes are tried
)

// Explore simulates as Run does and draws curves as well.
func Explore(ctx context.Context, c Case) (Report, Charts, error) {
	r, w, sick, err := simulate(ctx, c)
	if err != nil {
		return r, Charts{}, err
	}
	ch := Charts{Detected: w.detected(sick), Exposed: exposed(sick)}
	rough := *w
	rough.coarse = true
	for _, n := range r.Needs {
		ring := w.ring(n.Ring)
		if !w.visible(ring) {
			continue
		}
		bake, err := rough.byBake(ctx, ring, c.Seed)
		if err != nil {
			return r, ch, err
		}
		size, err := rough.bySize(ctx, ring, c.Seed)
		if err != nil {
			return r, ch, err
		}
		ch.Bake, ch.Size = append(ch.Bake, Curve{n.Ring, bake}), append(ch.Size, Curve{n.Ring, size})
	}
	return r, ch, nil
}

func (w *world) detected(runs []outcome) []Curve {
	var all []Curve
	for i, ring := range w.plan.Rings {
		var times []time.Duration
		for _, o := range runs {
			if o.ending == detected && o.ring == i {
				times = append(times, o.took)
			}
		}
		line := Curve{Name: ring.Name, Points: []XY{{}}}
		points := curve(times, len(runs))[1:]
		if len(times) > 0 { // nothing before the first
			line.Points = append(line.Points, XY{minutes(slices.Min(times)), 0})
		}
		for _, p := range points {
			line.Points = append(line.Points, XY{p.Minutes, p.Share})
		}
		all = append(all, line)
	}
	return all
}

// exposed is how many user-minutes how many of the releases expose at most.
func exposed(runs []outcome) []XY {
	var sums []float64
	for _, o := range runs {
		sums = append(sums, o.userMinutes)
	}
	slices.Sort(sums)
	var points []XY
	if len(sums) > 0 && sums[0] < sums[len(sums)-1] {
		points = append(points, XY{sums[0], 0})
	}
	for i := 1; i <= curvePoints && len(sums) > 0; i++ {
		k := max(1, len(sums)*i/curvePoints)
		p := XY{sums[k-1], float64(k) / float64(len(sums))}
		if n := len(points); n > 0 && points[n-1].X == p.X {
			points[n-1] = p
			continue
		}
		points = append(points, p)
	}
	return points
}

// byBake is the power of a ring for bakes up to four times its own.
func (w *world) byBake(ctx context.Context, ring int, seed uint64) ([]XY, error) {
	longest := 4 * w.stay(ring, w.shares[ring])
	times, err := w.times(ctx, ring, w.shares[ring], longest, chartRuns, seed)
	if err != nil {
		return nil, err
	}
	points := []XY{{}}
	for i := 1; i <= curvePoints; i++ {
		at := longest * time.Duration(i) / curvePoints
		seen := 0
		for _, t := range times {
			if t <= at {
				seen++
			}
		}
		points = append(points, XY{at.Minutes(), float64(seen) / chartRuns})
	}
	return points, nil
}

// bySize is its power in its bake for other shares of the users.
func (w *world) bySize(ctx context.Context, ring int, seed uint64) ([]XY, error) {
	var points []XY
	for i := range chartSizes {
		share := smallest * math.Pow(mostShare/smallest, float64(i)/(chartSizes-1))
		times, err := w.times(ctx, ring, share, w.stay(ring, share), chartRuns, seed)
		if err != nil {
			return nil, err
		}
		points = append(points, XY{share, float64(len(times)) / chartRuns})
	}
	return points, nil
}
