package drill

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// service is a simulated service with its traffic.
type service struct {
	name      string
	peak      float64 // requests a second at the busiest
	night     float64 // share of it that is left at the quietest
	noise     float64 // relative, beyond chance
	bad       float64 // share of requests that fail on any day
	late      float64 // share of those that take longer than a second
	burst     time.Duration
	job       [2]float64 // hours between which alone there is traffic
	deploys   []float64  // hours
	blip      float64    // hours between two, on average
	crash     float64
	instances []*instance
	version   int
	wander    float64
	ill       time.Time // until then some requests fail
	rollout   time.Time // when the newest version set out
}

// instance is one process.
type instance struct {
	n, version string
	restarts   int
	started    time.Time
	readyFrom  time.Time
	cache      float64 // bytes that it holds when it is warm
}

// cast are services as different as those of one company.
func cast() []*service {
	return []*service{
		{name: "shop", peak: 25, night: 0.1, noise: 0.08, bad: 0.0002, late: 0.002, deploys: []float64{9.5, 14.1, 16.8}, blip: 5, crash: 30},
		{name: "search", peak: 40, night: 0.15, noise: 0.15, bad: 0.0001, late: 0.004, deploys: []float64{11.2}, blip: 8},
		{name: "partners", peak: 3, night: 0.4, noise: 0.4, bad: 0.0005, late: 0.001, burst: 10 * time.Minute, blip: 12},
		{name: "office", peak: 0.3, night: 0.01, noise: 0.3, bad: 0.004, late: 0.003, deploys: []float64{10}},
		{name: "backoffice", peak: 0.01, night: 0.05, noise: 0.3, bad: 0.02},
		{name: "payroll", peak: 15, night: 1, noise: 0.1, bad: 0.0002, job: [2]float64{2, 2.6}},
	}
}

// rate is how many requests a second come now.
func (s *service) rate(d *day) float64 {
	h := math.Mod(d.hour(), 24)
	if s.job[1] > 0 {
		if h < s.job[0] || h >= s.job[1] {
			return 0
		}
		return s.peak
	}
	// quietest at four in the morning, busiest in the afternoon
	r := s.peak * (s.night + (1-s.night)*math.Pow((1-math.Cos(2*math.Pi*(h-4)/24))/2, 1.5))
	if s.burst > 0 && math.Mod(d.hour()*60, s.burst.Minutes()) < 1 {
		r *= 4
	}
	return r
}

// serve answers what came since the last scrape, and counts it.
func (s *service) serve(d *day) float64 {
	if len(s.instances) == 0 {
		s.start(d, 2)
	}
	s.advance(d)
	s.wander = 0.99*s.wander + 0.005*d.rng.NormFloat64()
	mean := s.rate(d) * scrapeEvery.Seconds() * math.Exp(s.noise*d.rng.NormFloat64()+s.wander)
	n := poisson(d, mean)
	bad := s.bad
	if s.ill.After(d.at) {
		bad += 0.04
	}
	for range int(n) {
		version, ring := s.answers(d)
		code := "200"
		if d.rng.Float64() < bad {
			code = "503"
		}
		d.counters.requests.WithLabelValues(s.name, version, ring, unit, code).Inc()
		took := 0.03 * math.Exp(0.7*d.rng.NormFloat64())
		if d.rng.Float64() < s.late {
			took = 1 + d.rng.ExpFloat64()
		}
		d.counters.seconds.WithLabelValues(s.name, version, ring, unit).Observe(took)
	}
	return n
}

func poisson(d *day, mean float64) float64 {
	if mean > 60 {
		return math.Max(0, math.Round(mean+math.Sqrt(mean)*d.rng.NormFloat64()))
	}
	n, p := 0.0, d.rng.Float64()
	for l := math.Exp(-mean); p > l; n++ {
		p *= d.rng.Float64()
	}
	return n
}

// rings of a rollout: when after its beginning the new version reaches which share of the users.
var rings = []struct {
	name  string
	after time.Duration
	share float64
}{{"canary", 3 * time.Minute, 0.05}, {"early", 10 * time.Minute, 0.2}, {"broad", 20 * time.Minute, 0.6}, {"all", 30 * time.Minute, 1}}

// answers is the version that answers a request, and the ring of its user.
func (s *service) answers(d *day) (version, ring string) {
	u, share := d.rng.Float64(), 0.0
	for i, r := range rings {
		if !s.rollout.IsZero() && d.at.Sub(s.rollout) >= r.after {
			share = r.share
		}
		if ring == "" && (u < r.share || i == len(rings)-1) {
			ring = r.name
		}
	}
	v := s.version
	if !s.rollout.IsZero() && u >= share {
		v--
	}
	return fmt.Sprintf("v%d", v), ring
}

// deploy sends the next version on its way.
func (s *service) deploy(d *day) {
	s.rollout = d.at
	s.start(d, 2)
}

func (s *service) start(d *day, n int) {
	s.version++
	for i := range n {
		in := &instance{n: strconv.Itoa(i), version: fmt.Sprintf("v%d", s.version), started: d.at, cache: 2e8 + 4e8*d.rng.Float64()}
		if d.at.After(d.begin) {
			in.readyFrom = d.at.Add(time.Duration(20+d.rng.IntN(60)) * time.Second)
		}
		s.instances = append(s.instances, in)
	}
}

// advance ends the old version's instances once the new one has everyone.
func (s *service) advance(d *day) {
	if s.rollout.IsZero() || d.at.Sub(s.rollout) < rings[len(rings)-1].after+time.Minute {
		return
	}
	s.rollout = time.Time{}
	s.instances = s.instances[len(s.instances)-2:]
}

// memory is what an instance holds: its cache fills within two minutes, garbage comes and goes, and over the day it grows a little.
func (i *instance) memory(d *day) float64 {
	age := d.at.Sub(i.started)
	garbage := 6e7 * math.Mod(age.Seconds()/97+float64(len(i.n)), 1)
	return 4e7 + i.cache*(1-math.Exp(-age.Seconds()/40)) + garbage + 1e6*age.Hours() + 2e6*d.rng.Float64()
}
