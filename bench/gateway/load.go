package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// sample is one run of wrk against one proxy.
type sample struct {
	rate float64 // requests per second
	cpu  float64 // seconds of the process tree per request
	p50  float64
	p99  float64
	rss  float64 // bytes, at the end
}

func needWrk() error {
	if _, err := exec.LookPath("wrk"); err != nil {
		return fmt.Errorf("wrk is needed to make load, and is not installed")
	}
	return nil
}

// sample loads the proxy for a time. Anything but clean answers is an error: a wrong answer is often a fast one.
func (p *proxy) sample(conns int, d time.Duration) (sample, error) {
	var s sample
	before := p.cpu()
	out, err := exec.Command("wrk", "-t1", "-c"+strconv.Itoa(conns), "-d"+strconv.Itoa(int(d.Seconds()))+"s", "--latency",
		"-H", "X-User-ID: bench-user", p.url+"/item/1").CombinedOutput()
	if err != nil {
		return s, fmt.Errorf("wrk: %w: %s", err, out)
	}
	used := p.cpu() - before
	text := string(out)
	if strings.Contains(text, "Non-2xx") || strings.Contains(text, "Socket errors") {
		return s, fmt.Errorf("not every request was answered:\n%s", text)
	}
	requests := number(text, `(\d+) requests in`)
	if requests == 0 {
		return s, fmt.Errorf("no request was answered:\n%s", text)
	}
	s.rate = number(text, `Requests/sec:\s+([\d.]+)`)
	s.p50, s.p99 = latency(text, "50%"), latency(text, "99%")
	s.cpu = used / requests
	s.rss = p.rss()
	return s, nil
}

func number(text, pattern string) float64 {
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	f, _ := strconv.ParseFloat(m[1], 64)
	return f
}

func latency(text, percentile string) float64 {
	m := regexp.MustCompile(percentile + `\s+([\d.]+)(us|ms|s)`).FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	d, _ := time.ParseDuration(m[1] + m[2])
	return d.Seconds()
}

// tree returns the processes of the proxy's process group: [pid, utime+stime ticks, resident pages].
func (p *proxy) tree() (out [][3]float64) {
	if p.process == nil {
		return nil
	}
	group := strconv.Itoa(p.process.Cmd.Process.Pid)
	dirs, _ := os.ReadDir("/proc")
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + d.Name() + "/stat")
		if err != nil {
			continue
		}
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:])) // from the state on
		if len(f) < 22 || f[2] != group {
			continue
		}
		user, _ := strconv.ParseFloat(f[11], 64)
		system, _ := strconv.ParseFloat(f[12], 64)
		pages, _ := strconv.ParseFloat(f[21], 64)
		out = append(out, [3]float64{float64(pid), user + system, pages})
	}
	return out
}

// cpu is the processor time that the proxy has used, in seconds; Linux counts it in hundredths.
func (p *proxy) cpu() (sum float64) {
	for _, t := range p.tree() {
		sum += t[1] / 100
	}
	return sum
}

func (p *proxy) rss() (sum float64) {
	for _, t := range p.tree() {
		sum += t[2] * float64(os.Getpagesize())
	}
	return sum
}
