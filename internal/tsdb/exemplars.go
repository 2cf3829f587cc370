package tsdb

import (
	"errors"
	"math"
	"net/http"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// serveExemplars lists the exemplars of the series that an expression selects.
func (db *DB) serveExemplars(r *http.Request) answer {
	from, err := timeParam(r, "start", math.MinInt64)
	if err != nil {
		return badParam("start", err)
	}
	to, err := timeParam(r, "end", math.MaxInt64)
	if err != nil {
		return badParam("end", err)
	}
	if to < from {
		return badParam("end", errors.New("end timestamp must not be before start timestamp"))
	}
	expr, err := db.parse(r.Form.Get("query"))
	if err != nil {
		return badParam("query", err)
	}
	selectors := parser.ExtractSelectors(expr)
	if len(selectors) == 0 {
		return answer{data: []byte("[]")}
	}
	q, err := db.kept.ExemplarQuerier(r.Context())
	if err != nil {
		return failed(err)
	}
	found, err := q.Select(from, to, selectors...)
	if err != nil {
		return failed(err)
	}
	b := []byte{'['}
	for i, series := range found {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendLabels(append(b, `{"seriesLabels":`...), series.SeriesLabels)
		b = append(b, `,"exemplars":[`...)
		for k, e := range series.Exemplars {
			if k > 0 {
				b = append(b, ',')
			}
			b = appendExemplar(b, e.Labels, e.Value, e.Ts)
		}
		b = append(b, ']', '}')
	}
	return answer{data: append(b, ']')}
}

func appendExemplar(b []byte, ls labels.Labels, v float64, at int64) []byte {
	b = appendLabels(append(b, `{"labels":`...), ls)
	b = appendFloat(append(b, `,"value":`...), v)
	b = appendTime(append(b, `,"timestamp":`...), at)
	return append(b, '}')
}
