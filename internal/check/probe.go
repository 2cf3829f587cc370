package check

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/health"
)

// Limits and defaults of probes.
const (
	probeTimeout = 5 * time.Second
	probeBytes   = 1 << 20
	probesAtOnce = 8
)

func (r *Runner) probe(ctx context.Context, req Request) health.Reading {
	p := *req.Probe
	p.URL, p.Path = put(p.URL, req.Vars, urlEscape), put(p.Path, req.Vars, urlEscape)
	p.Contains = put(p.Contains, req.Vars, asIs)
	limit, timeout := int64(0), p.Timeout.D(probeTimeout)
	if p.Contains != "" {
		limit = probeBytes
	}
	look := func(by doer, target string) health.Reading {
		a, err := get(ctx, by, http.MethodGet, target, http.Header{"Accept": {"*/*"}}, nil, limit, timeout)
		switch {
		case ctx.Err() != nil:
			return noData("the question was withdrawn")
		case err != nil:
			return fail(host(target) + ": " + why(err, timeout))
		}
		return expected(a, p.Status, p.Contains, host(target))
	}
	if p.URL != "" {
		if err := usable(p.URL); err != nil {
			return noData("the probe's url: " + oneLine(err.Error(), 200))
		}
		return look(r.outside, p.URL)
	}
	if len(req.Instances) == 0 {
		return noData("no instance of the new version is ready")
	}
	targets := make([]string, len(req.Instances))
	for i, instance := range req.Instances {
		targets[i] = "http://" + instance + p.Path
		if err := usable(targets[i]); err != nil {
			return noData("the probe's path: " + oneLine(err.Error(), 200))
		}
	}
	return worst(each(targets, func(target string) health.Reading { return look(r.inside, target) }))
}

// expected judges an answer.
func expected(a answer, status int, contains, from string) health.Reading {
	answered := fmt.Sprintf("%s answered %d", from, a.status)
	switch {
	case status != 0 && a.status != status:
		return fail(fmt.Sprintf("%s, expected %d", answered, status))
	case status == 0 && (a.status < 200 || a.status > 399):
		return fail(answered + ", expected 200 to 399")
	case !bytes.Contains(a.body, []byte(contains)):
		text := fmt.Sprintf("%s without %q", answered, oneLine(contains, 100))
		if a.cut {
			text += " in its first MiB"
		}
		return fail(text)
	}
	return pass(answered)
}

// each looks at all targets, some at a time.
func each(targets []string, look func(string) health.Reading) []health.Reading {
	out := make([]health.Reading, len(targets))
	room := make(chan struct{}, probesAtOnce)
	var all sync.WaitGroup
	for i, target := range targets {
		room <- struct{}{}
		all.Go(func() {
			out[i] = look(target)
			<-room
		})
	}
	all.Wait()
	return out
}

// worst is the reading of several instances: all have to pass.
func worst(readings []health.Reading) health.Reading {
	count := map[health.Verdict]int{}
	first := map[health.Verdict]string{}
	for _, r := range readings {
		if count[r.Verdict]++; count[r.Verdict] == 1 {
			first[r.Verdict] = r.Text
		}
	}
	for _, v := range []health.Verdict{health.Fail, health.Hold, health.Pass} {
		if count[v] == 0 {
			continue
		}
		text := first[v]
		if len(readings) > 1 {
			text = fmt.Sprintf("%d of %d instances: %s", count[v], len(readings), text)
		}
		return health.Reading{Verdict: v, Text: text}
	}
	return noData("there is nothing to ask")
}
