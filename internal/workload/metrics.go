package workload

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/ringfence/ringfence/internal/fleet"
)

// Collector tells how every instance is doing, and how much the machine has left, as metrics of this unit.
func (r *Runtime) Collector(unit string) prometheus.Collector {
	name := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("ringfence_"+name, help, labels, prometheus.Labels{"unit": unit})
	}
	one := []string{"service", "version", "instance"}
	return &collector{r: r,
		ready:    name("instance_ready", "1 while an instance may be sent requests.", one...),
		restarts: name("instance_restarts_total", "How often an instance ended by itself and was started again.", one...),
		cpu:      name("instance_cpu_seconds_total", "Time of the processor that an instance and what it started have used.", one...),
		memory:   name("instance_memory_bytes", "Memory that an instance and what it started hold.", one...),
		files:    name("instance_open_files", "Files and connections that an instance holds open.", one...),
		maxFiles: name("instance_max_files", "How many files and connections an instance may hold open.", one...),
		diskFree: name("disk_free_bytes", "What is left of the disk that instances work on."),
		diskSize: name("disk_size_bytes", "The size of the disk that instances work on."),
		freeMem:  name("memory_available_bytes", "Memory of the machine that can be had without swapping."),
		allMem:   name("memory_size_bytes", "Memory of the machine."),
	}
}

type collector struct {
	r                                             *Runtime
	ready, restarts, cpu, memory, files, maxFiles *prometheus.Desc
	diskFree, diskSize, freeMem, allMem           *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.ready, c.restarts, c.cpu, c.memory, c.files, c.maxFiles, c.diskFree, c.diskSize, c.freeMem, c.allMem} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	for _, i := range c.r.instances() {
		tell := func(d *prometheus.Desc, t prometheus.ValueType, v float64) {
			parts := strings.SplitN(i.ID, "/", 3) // service/version/n
			ch <- prometheus.MustNewConstMetric(d, t, v, parts[0], parts[1], parts[2])
		}
		ready := 0.0
		if i.Ready {
			ready = 1
		}
		if !i.leaving { // nobody expects it of one that is on its way out
			tell(c.ready, prometheus.GaugeValue, ready)
		}
		tell(c.restarts, prometheus.CounterValue, float64(i.Restarts))
		if i.PID == 0 {
			continue
		}
		tell(c.cpu, prometheus.CounterValue, i.CPUSeconds)
		tell(c.memory, prometheus.GaugeValue, float64(i.RSSBytes))
		if open, most, ok := openFiles(i.PID); ok {
			tell(c.files, prometheus.GaugeValue, open)
			tell(c.maxFiles, prometheus.GaugeValue, most)
		}
	}
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	var disk unix.Statfs_t
	if unix.Statfs(c.r.opt.Dir, &disk) == nil {
		gauge(c.diskFree, float64(disk.Bavail)*float64(disk.Bsize))
		gauge(c.diskSize, float64(disk.Blocks)*float64(disk.Bsize))
	}
	if free, all, ok := machineMemory(); ok {
		gauge(c.freeMem, free)
		gauge(c.allMem, all)
	}
}

// seenInstance is an instance as it is seen now.
type seenInstance struct {
	fleet.Instance
	leaving bool
}

// instances are all instances as they are seen now.
func (r *Runtime) instances() (all []seenInstance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, versions := range r.slots {
		for _, s := range versions {
			for _, i := range s.instances {
				all = append(all, seenInstance{i.view, i.stopping})
			}
		}
	}
	return all
}

// openFiles counts what a process holds open, and says how much it may.
func openFiles(pid int) (open, most float64, ok bool) {
	at := "/proc/" + strconv.Itoa(pid)
	held, err := os.ReadDir(at + "/fd")
	if err != nil {
		return 0, 0, false
	}
	limits, err := os.ReadFile(at + "/limits")
	if err != nil {
		return 0, 0, false
	}
	for line := range strings.Lines(string(limits)) {
		if rest, found := strings.CutPrefix(line, "Max open files"); found {
			if f := strings.Fields(rest); len(f) > 0 {
				most, err = strconv.ParseFloat(f[0], 64)
				return float64(len(held)), most, err == nil
			}
		}
	}
	return 0, 0, false
}

// machineMemory is what /proc/meminfo says, in bytes.
func machineMemory() (available, total float64, ok bool) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, 0, false
	}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 2 {
			continue
		}
		kb, _ := strconv.ParseFloat(f[1], 64)
		switch f[0] {
		case "MemTotal:":
			total = kb * 1024
		case "MemAvailable:":
			available = kb * 1024
		}
	}
	return available, total, total > 0
}
