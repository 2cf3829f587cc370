package slo

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// ringfenceQuery is what a metric source of type Ringfence reads: requests as the gateway counts them.
type ringfenceQuery struct {
	Signal  string    `json:"signal" enum:"requests,errors,slow" doc:"requests, those of them that failed, or those that took longer than over"`
	Service string    `json:"service,omitempty" doc:"default the SLO's"`
	Over    fleet.Dur `json:"over,omitempty" doc:"of slow"`
	Ring    string    `json:"ring,omitempty" doc:"only users of this ring"`
	Version string    `json:"version,omitempty" doc:"only requests to this version"`
}

// whole says whether no ring and no version is left out.
func (q ringfenceQuery) whole() bool { return q.Ring == "" && q.Version == "" }

// events gives the queries for bad and all events in a window.
type events func(window time.Duration) (bad, total string)

// selector chooses the gateway's series.
func (q ringfenceQuery) selector(metric, more string) string {
	labels := []string{"service=" + strconv.Quote(q.Service)}
	for _, l := range []struct{ name, value string }{{"ring", q.Ring}, {"version", q.Version}} {
		if l.value != "" {
			labels = append(labels, l.name+"="+strconv.Quote(l.value))
		}
	}
	if more != "" {
		labels = append(labels, more)
	}
	return metric + "{" + strings.Join(labels, ",") + "}"
}

// count gives the expression for how many such requests there were. Slow ones are read from the histogram, whose buckets are
// at most a tenth wide.
func (q ringfenceQuery) count(window string) string {
	switch q.Signal {
	case "errors":
		return fmt.Sprintf(`sum(increase(%s[%s]))`, q.selector("ringfence_requests_total", `code=~"5.."`), window)
	case "slow":
		h := fmt.Sprintf("sum(increase(%s[%s]))", q.selector("ringfence_request_duration_seconds", ""), window)
		return fmt.Sprintf("histogram_count(%s) * (1 - histogram_fraction(-Inf, %s, %s))", h, plain(time.Duration(q.Over).Seconds()), h)
	}
	return fmt.Sprintf(`sum(increase(%s[%s]))`, q.selector("ringfence_requests_total", ""), window)
}

func plain(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// source is a metric source that was understood.
type source struct {
	query string          // in PromQL
	ours  *ringfenceQuery // instead
}

// counted is the sum of the events in a window: of counters by how much they grew, of other metrics by their values.
func (s source) counted(counter bool, window, step string) (string, error) {
	switch {
	case s.ours != nil:
		return s.ours.count(window), nil
	case counter:
		q, err := counters(s.query, "increase", window)
		return "sum(" + q + ")", err
	}
	return fmt.Sprintf("sum(sum_over_time((%s)[%s:%s]))", s.value(step), window, step), nil
}

// value is the expression for values, with its window, where it is left open, as long as they are apart.
func (s source) value(step string) string { return templateRE.ReplaceAllString(s.query, step) }

// resolution is how far apart the values of metrics that are no counters are read.
func resolution(period time.Duration) time.Duration {
	return min(max(period/43200, 5*time.Second), time.Minute).Truncate(time.Second)
}

// ratio counts bad events of all.
func ratio(good, bad, total source, fromGood, counter bool, step string) (events, error) {
	one := bad
	if fromGood {
		one = good
	}
	for _, s := range []source{one, total} { // what is wrong with one window is wrong with all
		if _, err := s.counted(counter, "5m", step); err != nil {
			return nil, err
		}
	}
	return func(w time.Duration) (string, string) {
		all, _ := total.counted(counter, promText(w), step)
		some, _ := one.counted(counter, promText(w), step)
		if fromGood {
			return fmt.Sprintf("clamp_min(%s - (%s or vector(0)), 0)", all, some), all
		}
		return fmt.Sprintf("(%s or vector(0))", some), all
	}, nil
}

// rawRatio takes each value of a share for one event.
func rawRatio(raw source, failure bool, step string) events {
	q := raw.value(step)
	return func(w time.Duration) (string, string) {
		total := fmt.Sprintf("sum(count_over_time((%s)[%s:%s]))", q, promText(w), step)
		sum := fmt.Sprintf("sum(sum_over_time((%s)[%s:%s]))", q, promText(w), step)
		if failure {
			return sum, total
		}
		return fmt.Sprintf("(%s - %s)", total, sum), total
	}
}

var operators = map[string]string{"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}

// threshold takes each value for one event, which is good where the comparison holds.
func threshold(metric source, op string, value float64, step string) events {
	q := metric.value(step)
	return func(w time.Duration) (string, string) {
		total := fmt.Sprintf("sum(count_over_time((%s)[%s:%s]))", q, promText(w), step)
		good := fmt.Sprintf("sum(sum_over_time(((%s) %s bool %s)[%s:%s]))", q, operators[op], plain(value), promText(w), step)
		return fmt.Sprintf("(%s - %s)", total, good), total
	}
}

// sliced takes slices of time for events: good ones have their share of good events, or count by what is missing of it.
func sliced(of events, slice time.Duration, target float64, byRatio bool) events {
	bad, total := of(slice)
	missing := fmt.Sprintf("(%s / (%s > 0))", bad, total)
	one := missing
	if !byRatio {
		one = fmt.Sprintf("(%s > bool %s)", missing, plain(rounded(1-target)))
	}
	return func(w time.Duration) (string, string) {
		span := promText(w) + ":" + promText(slice)
		return fmt.Sprintf("sum_over_time(%s[%s])", one, span), fmt.Sprintf("count_over_time(%s[%s])", missing, span)
	}
}

// anyBad joins slices of several indicators: one is bad when it is bad for any of them.
func anyBad(parts []events, targets []float64, slice time.Duration) events {
	var ones, all []string
	for i, of := range parts {
		bad, total := of(slice)
		missing := fmt.Sprintf("(%s / (%s > 0))", bad, total)
		ones = append(ones, fmt.Sprintf("((%s > bool %s) or vector(0))", missing, plain(rounded(1-targets[i]))))
		all = append(all, missing)
	}
	return func(w time.Duration) (string, string) {
		span := promText(w) + ":" + promText(slice)
		return fmt.Sprintf("sum_over_time(clamp_max(%s, 1)[%s])", strings.Join(ones, " + "), span),
			fmt.Sprintf("count_over_time((%s)[%s])", strings.Join(all, " or "), span)
	}
}

// rounded takes away what is left over from a subtraction of decimals.
func rounded(f float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'g', 12, 64), 64)
	return r
}

// promQL are the types of data sources that are asked in PromQL; they are all read from the metrics of the control plane.
var promQL = []string{"prometheus", "thanos", "mimir", "cortex", "victoriametrics", "grafanamimir"}

func queryOf(raw json.RawMessage) (string, bool) {
	var spec struct {
		Query string `json:"query"`
	}
	err := json.Unmarshal(raw, &spec)
	return spec.Query, err == nil && strings.TrimSpace(spec.Query) != ""
}
