package simulate

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Report is what many runs of a case came to. Shares are of all runs; minutes of rings count from when the ring got the
// new version, others from the first ring on.
type Report struct {
	Plan    string  `json:"plan"`
	Traffic float64 `json:"traffic" doc:"requests a second, on average"`
	Users   int64   `json:"users"`
	Runs    int     `json:"runs"`
	Seed    uint64  `json:"seed"`

	Rings   []Ring   `json:"rings"`
	Signals []Signal `json:"signals" doc:"what was simulated of each signal that a gate looks at"`
	Assumed []string `json:"assumed" doc:"what the case left open"`

	Healthy    Healthy    `json:"healthy"`
	Regression Regression `json:"regression"`
	Needs      []Need     `json:"needs" doc:"what the rings would need to see the regression alone"`
	Advice     []string   `json:"advice"`
}

// Ring is a ring as it was simulated.
type Ring struct {
	Name        string  `json:"name"`
	Share       float64 `json:"share" doc:"of the users, with the rings before it"`
	BakeMinutes float64 `json:"bakeMinutes"`
}

// Signal is what share of the requests is bad, before and with the regression.
type Signal struct {
	Signal     string  `json:"signal"`
	Baseline   float64 `json:"baseline"`
	Regression float64 `json:"regression"`
}

// Healthy is what becomes of releases with nothing wrong.
type Healthy struct {
	StoppedShare  float64  `json:"stoppedShare"`
	HeldShare     float64  `json:"heldShare" doc:"those that wait for ever, as for traffic that does not come"`
	MedianMinutes *float64 `json:"medianMinutes" doc:"until everyone has it; null when it never does"`
}

// Regression is what becomes of releases with the regression.
type Regression struct {
	DetectedShare      float64 `json:"detectedShare"`
	HeldShare          float64 `json:"heldShare"`
	ByRing             []Seen  `json:"byRing"`
	ExposedUsers       float64 `json:"exposedUsers" doc:"mean number of users whose ring had the release"`
	ExposedUserMinutes float64 `json:"exposedUserMinutes" doc:"mean, until it was seen or else until the rollout's end"`
	Curve              []Point `json:"curve" doc:"share of the runs that had been stopped, by minute"`
}

// Seen is how often and how soon the regression is seen in a ring.
type Seen struct {
	Name          string   `json:"name"`
	Share         float64  `json:"share"`
	MedianMinutes *float64 `json:"medianMinutes" doc:"null when it is never seen there"`
}

// Point is a point of a curve.
type Point struct {
	Minutes float64 `json:"minutes"`
	Share   float64 `json:"share"`
}

// curvePoints is how many points a curve has at most.
const curvePoints = 60

func (w *world) healthyReport(runs []outcome) Healthy {
	var h Healthy
	var took []time.Duration
	for _, o := range runs {
		switch o.ending {
		case detected:
			h.StoppedShare++
		case held:
			h.HeldShare++
		default:
			took = append(took, o.took)
		}
	}
	n := float64(len(runs))
	h.StoppedShare /= n
	h.HeldShare /= n
	h.MedianMinutes = quantile(took, 0.5)
	return h
}

func (w *world) regressionReport(runs []outcome) Regression {
	var r Regression
	n := float64(len(runs))
	inRing := make([][]time.Duration, len(w.shares))
	var seen []time.Duration
	for _, o := range runs {
		r.ExposedUsers += w.shares[o.ring] * w.users / n
		r.ExposedUserMinutes += o.userMinutes / n
		switch o.ending {
		case detected:
			inRing[o.ring] = append(inRing[o.ring], o.inRing)
			seen = append(seen, o.took)
		case held:
			r.HeldShare++
		}
	}
	r.DetectedShare = float64(len(seen)) / n
	r.HeldShare /= n
	for i, times := range inRing {
		r.ByRing = append(r.ByRing, Seen{Name: w.plan.Rings[i].Name, Share: float64(len(times)) / n, MedianMinutes: quantile(times, 0.5)})
	}
	r.ExposedUsers, r.ExposedUserMinutes = math.Round(r.ExposedUsers), math.Round(r.ExposedUserMinutes)
	r.Curve = curve(seen, len(runs))
	return r
}

// curve thins the times out to points at about equal distances in share.
func curve(times []time.Duration, runs int) []Point {
	slices.Sort(times)
	points := []Point{{}}
	for i := 1; i <= curvePoints && len(times) > 0; i++ {
		k := (len(times)*i + curvePoints - 1) / curvePoints
		p := Point{Minutes: minutes(times[k-1]), Share: float64(k) / float64(runs)}
		if last := &points[len(points)-1]; last.Minutes == p.Minutes || last.Share == p.Share {
			*last = p
			continue
		}
		points = append(points, p)
	}
	return points
}

// quantile is the time below or at which a part q of them lies, nil without any.
func quantile(times []time.Duration, q float64) *float64 {
	if len(times) == 0 {
		return nil
	}
	slices.SortFunc(times, cmp.Compare[time.Duration])
	m := minutes(times[max(0, int(math.Ceil(q*float64(len(times))))-1)])
	return &m
}

func minutes(d time.Duration) float64 { return math.Round(100*d.Minutes()) / 100 }
