package pager

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringfence/ringfence/internal/alert"
)

// seen is what the last look saw, for those who ask for metrics.
type seen struct {
	sync.Mutex
	at      time.Time
	firing  map[[2]string]int
	failing map[string]time.Time
}

// note keeps what a look saw.
func (s *seen) note(now time.Time, standings map[string]alert.Standing, ledgers map[string]Ledger) {
	firing, failing := map[[2]string]int{}, map[string]time.Time{}
	for _, st := range standings {
		if st.Firing() {
			firing[[2]string{alert.Grade(st.Labels[alert.Severity]), strconv.FormatBool(!st.Suppressed())}]++
		}
	}
	for _, l := range ledgers {
		for name, t := range l.Told {
			if since, there := failing[name]; name != inner && !t.Failing.IsZero() && (!there || t.Failing.Before(since)) {
				failing[name] = t.Failing
			}
		}
	}
	s.Lock()
	defer s.Unlock()
	s.at, s.firing, s.failing = now, firing, failing
}

var (
	firingDesc = prometheus.NewDesc("ringfence_alerts", "Alerts that fire, by severity and whether people are told of them.", []string{"severity", "told"}, nil)
	lookDesc   = prometheus.NewDesc("ringfence_alerts_look_age_seconds", "Time since alerts were last looked at.", nil, nil)
	failDesc   = prometheus.NewDesc("ringfence_alert_delivery_failing_seconds", "Since when a notifier takes no page.", []string{"notifier"}, nil)
)

// Describe is of prometheus.Collector.
func (p *Pager) Describe(ch chan<- *prometheus.Desc) {
	ch <- firingDesc
	ch <- lookDesc
	ch <- failDesc
}

// Collect is of prometheus.Collector: it tells of the last look.
func (p *Pager) Collect(ch chan<- prometheus.Metric) {
	p.seen.Lock()
	defer p.seen.Unlock()
	now := p.now()
	if !p.seen.at.IsZero() {
		ch <- prometheus.MustNewConstMetric(lookDesc, prometheus.GaugeValue, now.Sub(p.seen.at).Seconds())
	}
	for k, n := range p.seen.firing {
		ch <- prometheus.MustNewConstMetric(firingDesc, prometheus.GaugeValue, float64(n), k[0], k[1])
	}
	for name, since := range p.seen.failing {
		ch <- prometheus.MustNewConstMetric(failDesc, prometheus.GaugeValue, now.Sub(since).Seconds(), name)
	}
}
