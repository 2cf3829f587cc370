package workload

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// gathered are the values of the collector's metrics: name, or name of an instance.
func gathered(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				if l.GetName() == "instance" || l.GetName() == "version" {
					name += " " + l.GetValue()
				}
			}
			all[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return all
}

func TestMetricsOfInstances(t *testing.T) {
	g := newRig(t)
	g.open()
	g.rt.Apply(shop(g.slot("v1", 2)))
	before := g.awaitReady("v1", 2)
	c := g.rt.Collector("eu")
	g.await("memory is measured", func() bool { return gathered(t, c)["ringfence_instance_memory_bytes 1 v1"] > 1<<20 })
	m := gathered(t, c)
	for name, ok := range map[string]bool{
		"ringfence_instance_ready 1 v1":          m["ringfence_instance_ready 1 v1"] == 1,
		"ringfence_instance_restarts_total 1 v1": m["ringfence_instance_restarts_total 1 v1"] == 0,
		"ringfence_instance_open_files 1 v1":     m["ringfence_instance_open_files 1 v1"] >= 3,
		"ringfence_instance_max_files 1 v1":      m["ringfence_instance_max_files 1 v1"] >= m["ringfence_instance_open_files 1 v1"],
		"ringfence_disk_free_bytes":              m["ringfence_disk_free_bytes"] > 0 && m["ringfence_disk_free_bytes"] <= m["ringfence_disk_size_bytes"],
		"ringfence_memory_available_bytes":       m["ringfence_memory_available_bytes"] > 0 && m["ringfence_memory_available_bytes"] < m["ringfence_memory_size_bytes"],
	} {
		if !ok {
			t.Errorf("%s is %v, of %v", name, m[name], m)
		}
	}
	crash(before.Instances[0].Address)
	g.await("the restart is counted", func() bool { return gathered(t, c)["ringfence_instance_restarts_total 1 v1"] == 1 })
}
