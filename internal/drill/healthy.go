package drill

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rulebook"
)

// Past is a throw-away database of metrics in which time is simulated.
type Past interface {
	Declare(rules resource.AlertRules, step time.Duration) error
	Scrape(target map[string]string, at time.Time, contentType string, body []byte) error // no body: it did not answer
	Look(ctx context.Context, at time.Time) error                                         // the lookout's
	Evaluate(ctx context.Context, at time.Time) ([]alert.Alert, error)
}

// Healthy is what came of healthy time.
type Healthy struct {
	Hours    float64       `json:"hours"`
	Requests float64       `json:"requests"`
	Events   int           `json:"events"` // deployments, restarts and blips
	Rules    int           `json:"rules"`
	Alarms   []alert.Alert `json:"falseAlarms"`
}

const (
	scrapeEvery   = 15 * time.Second
	evaluateEvery = 30 * time.Second
)

// day is a healthy time at one unit with several services.
type day struct {
	rng      *rand.Rand
	gateway  map[string]string // target
	services []*service
	counters *counters
	midnight time.Time
	begin    time.Time
	at       time.Time
	deaf     time.Time // until then the gateway does not answer
	unseen   time.Time // until then nobody looks
	diskUsed float64
	out      Healthy
}

// Time is which healthy time passes: from an hour of the day, for some hours.
type Time struct {
	Seed        uint64
	From, Hours float64
}

// RunHealthy lets healthy hours pass, and says which alerts fired in them.
func RunHealthy(ctx context.Context, past Past, t Time, progress func(done float64)) (Healthy, error) {
	rules := rulebook.Rules(nil)
	if err := past.Declare(rules, evaluateEvery); err != nil {
		return Healthy{}, err
	}
	length := time.Duration(t.Hours * float64(time.Hour)).Truncate(scrapeEvery)
	midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(-length).Truncate(24 * time.Hour).Add(-24 * time.Hour)
	begin := midnight.Add(time.Duration(t.From * float64(time.Hour)).Truncate(evaluateEvery))
	d := &day{rng: rand.New(rand.NewPCG(t.Seed, 5)), midnight: midnight, begin: begin, gateway: map[string]string{"job": "gateway", "unit": unit, "instance": "127.0.0.1:7401"}, counters: newCounters(), diskUsed: 0.45, services: cast()}
	d.out.Hours, d.out.Alarms = length.Hours(), []alert.Alert{}
	for _, g := range rules.Groups {
		d.out.Rules += len(g.Rules)
	}
	known := map[string]bool{}
	end := begin.Add(length)
	for d.at = begin; d.at.Before(end); d.at = d.at.Add(scrapeEvery) {
		if err := d.pass(past); err != nil {
			return d.out, err
		}
		if d.at.Before(d.unseen) {
			continue // the control plane is away: nothing is evaluated
		}
		if err := past.Look(ctx, d.at); err != nil {
			return d.out, err
		}
		if d.at.Sub(begin)%evaluateEvery != 0 {
			continue
		}
		firing, err := past.Evaluate(ctx, d.at)
		if err != nil {
			return d.out, err
		}
		for _, a := range firing {
			if id := a.Labels[alert.Name] + fmt.Sprint(a.Labels, a.StartsAt); !known[id] {
				known[id] = true
				d.out.Alarms = append(d.out.Alarms, a)
			}
		}
		if d.at.Sub(begin)%(30*time.Minute) == 0 {
			progress(d.at.Sub(begin).Seconds() / end.Sub(begin).Seconds())
		}
	}
	return d.out, nil
}

// pass lets the time since the last scrape pass, and scrapes.
func (d *day) pass(past Past) error {
	d.happen()
	for _, s := range d.services {
		d.out.Requests += s.serve(d)
	}
	d.machine()
	if d.at.Before(d.unseen) {
		return nil
	}
	if d.at.Before(d.deaf) {
		return past.Scrape(d.gateway, d.at, "", nil)
	}
	body, contentType, err := d.counters.expose()
	if err != nil {
		return err
	}
	if err := past.Scrape(d.gateway, d.at, contentType, body); err != nil {
		return err
	}
	for _, s := range d.services {
		for _, i := range s.instances {
			target := map[string]string{"job": "service", "service": s.name, "version": i.version, "unit": unit, "instance": s.name + "/" + i.version + "/" + i.n}
			own := []byte("# TYPE shop_products gauge\nshop_products 4\n")
			if i.readyFrom.After(d.at) {
				own = nil // it starts
			}
			if err := past.Scrape(target, d.at, "text/plain", own); err != nil {
				return err
			}
		}
	}
	return nil
}

// hour is the time since the first midnight.
func (d *day) hour() float64 { return d.at.Sub(d.midnight).Hours() }

// happen begins what happens on an ordinary day.
func (d *day) happen() {
	is := func(hour float64) bool {
		h := math.Mod(d.hour(), 24)
		return h >= hour && h < hour+scrapeEvery.Hours()*0.999
	}
	event := func() { d.out.Events++ }
	for _, s := range d.services {
		for _, h := range s.deploys {
			if is(h) {
				s.deploy(d)
				event()
			}
		}
		if s.blip > 0 && d.rng.Float64() < scrapeEvery.Hours()/s.blip { // a neighbour hiccups for a few seconds
			s.ill = d.at.Add(time.Duration(10+d.rng.IntN(20)) * time.Second)
			event()
		}
		if s.crash > 0 && d.rng.Float64() < scrapeEvery.Hours()/s.crash {
			i := s.instances[d.rng.IntN(len(s.instances))]
			i.restarts, i.readyFrom, i.started = i.restarts+1, d.at.Add(20*time.Second), d.at
			event()
		}
	}
	switch {
	case is(13.35): // the data plane is restarted: counters begin anew
		d.counters, d.deaf = newCounters(), d.at.Add(25*time.Second)
		event()
	case is(17.05): // the control plane is
		d.unseen = d.at.Add(50 * time.Second)
		event()
	}
}

// machine is what is left of the machine.
func (d *day) machine() {
	d.diskUsed += 0.2 * scrapeEvery.Hours() / 6 // logs grow, and are cut every six hours
	if math.Mod(d.hour(), 6) < scrapeEvery.Hours()*0.999 {
		d.diskUsed = 0.45
	}
	used := d.diskUsed
	if h := math.Mod(d.hour(), 24); h > 2 && h < 2.4 { // a backup is packed
		used += 0.25 * (h - 2) / 0.4
	}
	const size, memory = 200e9, 16e9
	c := d.counters
	c.gauge("ringfence_disk_size_bytes", size)
	c.gauge("ringfence_disk_free_bytes", size*(1-used))
	c.gauge("ringfence_memory_size_bytes", memory)
	held := 0.0
	for _, s := range d.services {
		for _, i := range s.instances {
			held += i.memory(d)
		}
	}
	c.gauge("ringfence_memory_available_bytes", memory-2e9-held)
	c.reset("ringfence_instance_ready", "ringfence_instance_memory_bytes", "ringfence_instance_open_files", "ringfence_instance_max_files", "ringfence_instance_restarts_total")
	for _, s := range d.services {
		for _, i := range s.instances {
			at := []string{"service", s.name, "version", i.version, "instance", i.n}
			ready := 1.0
			if i.readyFrom.After(d.at) {
				ready = 0
			}
			c.gauge("ringfence_instance_ready", ready, at...)
			c.gauge("ringfence_instance_restarts_total", float64(i.restarts), at...)
			c.gauge("ringfence_instance_memory_bytes", i.memory(d), at...)
			c.gauge("ringfence_instance_open_files", 40+s.rate(d)*2+5*d.rng.Float64(), at...)
			c.gauge("ringfence_instance_max_files", 65536, at...)
		}
	}
}

const unit = "local"

// counters are what a gateway tells.
type counters struct {
	reg      *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	gauges   map[string]*prometheus.GaugeVec
}

func newCounters() *counters {
	base := []string{"service", "version", "ring", "unit"}
	c := &counters{reg: prometheus.NewRegistry(), gauges: map[string]*prometheus.GaugeVec{},
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ringfence_requests_total"}, append(slices.Clone(base), "code")),
		seconds:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "ringfence_request_duration_seconds", NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100}, base)}
	c.reg.MustRegister(c.requests, c.seconds)
	return c
}

// gauge sets one value; labels are name, value, name, value…
func (c *counters) gauge(name string, v float64, labels ...string) {
	with := prometheus.Labels{"unit": unit}
	for i := 0; i < len(labels); i += 2 {
		with[labels[i]] = labels[i+1]
	}
	g := c.gauges[name]
	if g == nil {
		g = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name}, slices.Sorted(maps.Keys(with)))
		c.reg.MustRegister(g)
		c.gauges[name] = g
	}
	g.With(with).Set(v)
}

func (c *counters) reset(names ...string) {
	for _, n := range names {
		if g := c.gauges[n]; g != nil {
			g.Reset()
		}
	}
}

func (c *counters) expose() ([]byte, string, error) {
	families, err := c.reg.Gather()
	if err != nil {
		return nil, "", err
	}
	var b bytes.Buffer
	format := expfmt.NewFormat(expfmt.TypeProtoDelim)
	enc := expfmt.NewEncoder(&b, format)
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			return nil, "", err
		}
	}
	return b.Bytes(), string(format), nil
}
