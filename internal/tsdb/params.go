package tsdb

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

func badData(format string, args ...any) answer {
	return answer{errType: "bad_data", err: fmt.Errorf(format, args...)}
}

func badParam(name string, err error) answer {
	return badData("invalid parameter %q: %w", name, err)
}

// parseTime reads Unix seconds or RFC 3339 and returns milliseconds.
func parseTime(s string) (int64, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		ms := math.Round(f * 1000)
		if !(math.Abs(ms) < 1<<53) {
			return 0, fmt.Errorf("cannot parse %q to a valid timestamp", s)
		}
		return int64(ms), nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, fmt.Errorf("cannot parse %q to a valid timestamp", s)
	}
	return t.UnixMilli(), nil
}

func timeParam(r *http.Request, name string, otherwise int64) (int64, error) {
	s := r.Form.Get(name)
	if s == "" {
		return otherwise, nil
	}
	return parseTime(s)
}

// parseDuration reads seconds or Prometheus' notation such as 5m or 1h30m.
func parseDuration(s string) (time.Duration, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		ns := f * float64(time.Second)
		if !(math.Abs(ns) < math.MaxInt64) {
			return 0, fmt.Errorf("cannot parse %q to a valid duration", s)
		}
		return time.Duration(ns), nil
	}
	d, err := model.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("cannot parse %q to a valid duration", s)
	}
	return time.Duration(d), nil
}

func timeoutParam(r *http.Request) (time.Duration, error) {
	s := r.Form.Get("timeout")
	if s == "" {
		return maxAPITimeout, nil
	}
	d, err := parseDuration(s)
	return min(d, maxAPITimeout), err
}

func limitParam(r *http.Request) (int, error) {
	s := r.Form.Get("limit")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("cannot parse %q to a non-negative number", s)
	}
	return n, nil
}

func rangeParams(r *http.Request) (from, to int64, step time.Duration, refused *answer) {
	bad := func(name string, err error) (int64, int64, time.Duration, *answer) {
		a := badParam(name, err)
		return 0, 0, 0, &a
	}
	from, err := parseTime(r.Form.Get("start"))
	if err != nil {
		return bad("start", err)
	}
	if to, err = parseTime(r.Form.Get("end")); err != nil {
		return bad("end", err)
	}
	if to < from {
		return bad("end", errors.New("end timestamp must not be before start time"))
	}
	if step, err = parseDuration(r.Form.Get("step")); err != nil {
		return bad("step", err)
	}
	if step < time.Millisecond {
		return bad("step", errors.New("expected a step of at least 1ms"))
	}
	if (to-from)/step.Milliseconds() > maxPoints {
		a := badData("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)")
		return 0, 0, 0, &a
	}
	return from, to, step, nil
}

// listing is what the endpoints that list names have in common.
type listing struct {
	from, to int64
	limit    int
	sets     [][]*labels.Matcher
}

// maxMatchers bounds how many selectors one request may name.
const maxMatchers = 100

func (db *DB) listingOf(r *http.Request) (l listing, refused *answer) {
	bad := func(name string, err error) (listing, *answer) {
		a := badParam(name, err)
		return l, &a
	}
	var err error
	if l.from, err = timeParam(r, "start", math.MinInt64); err != nil {
		return bad("start", err)
	}
	if l.to, err = timeParam(r, "end", math.MaxInt64); err != nil {
		return bad("end", err)
	}
	if l.limit, err = limitParam(r); err != nil {
		return bad("limit", err)
	}
	if l.limit == 0 || l.limit > maxSeries {
		l.limit = maxSeries
	}
	if n := len(r.Form["match[]"]); n > maxMatchers {
		return bad("match[]", fmt.Errorf("%d selectors, expected at most %d", n, maxMatchers))
	}
	for _, m := range r.Form["match[]"] {
		if err := checkExpr(m); err != nil {
			return bad("match[]", err)
		}
	}
	if l.sets, err = db.parser.ParseMetricSelectors(r.Form["match[]"]); err != nil {
		return bad("match[]", err)
	}
	for _, set := range l.sets {
		if !selective(set) {
			return bad("match[]", errors.New("match[] must contain at least one non-empty matcher"))
		}
	}
	return l, nil
}

func selective(set []*labels.Matcher) bool {
	for _, m := range set {
		if m != nil && !m.Matches("") {
			return true
		}
	}
	return false
}
