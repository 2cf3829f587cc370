package tsdb

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// maxOwners is of how many services the metrics tell; those with the most series.
const maxOwners = 1000

var (
	seriesDesc = prometheus.NewDesc("ringfence_telemetry_series", "Series in memory by the service that they belong to.", []string{"service"}, nil)
	limitDesc  = prometheus.NewDesc("ringfence_telemetry_series_limit", "Series that a service may have.", nil, nil)
	refuseDesc = prometheus.NewDesc("ringfence_telemetry_refused_samples_total", "Samples that were refused, by reason.", []string{"reason"}, nil)
	overDesc   = prometheus.NewDesc("ringfence_telemetry_limited_samples_total", "Samples refused because a service has too many series.", []string{"service"}, nil)
)

// Describe is of prometheus.Collector: the database tells of itself.
func (db *DB) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{seriesDesc, limitDesc, refuseDesc, overDesc} {
		ch <- d
	}
}

// Collect is of prometheus.Collector.
func (db *DB) Collect(ch chan<- prometheus.Metric) {
	c := db.census
	c.mu.Lock()
	defer c.mu.Unlock()
	ch <- prometheus.MustNewConstMetric(limitDesc, prometheus.GaugeValue, float64(c.limit))
	for why, n := range c.refuse {
		ch <- prometheus.MustNewConstMetric(refuseDesc, prometheus.CounterValue, float64(n), string(why))
	}
	names := make([]string, 0, len(c.by))
	for name := range c.by {
		names = append(names, name)
	}
	if len(names) > maxOwners {
		slices.SortFunc(names, func(a, b string) int { return c.by[b].series - c.by[a].series })
		names = names[:maxOwners]
	}
	for _, name := range names {
		of := c.by[name]
		ch <- prometheus.MustNewConstMetric(seriesDesc, prometheus.GaugeValue, float64(of.series), name)
		if of.refused > 0 {
			ch <- prometheus.MustNewConstMetric(overDesc, prometheus.CounterValue, float64(of.refused), name)
		}
	}
}
