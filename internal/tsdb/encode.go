package tsdb

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// maxNotes is how many warnings and how many infos an answer carries.
const maxNotes = 10

// writeAnswer writes a in Prometheus' envelope.
func writeAnswer(w http.ResponseWriter, a answer) {
	warnings, infos := a.notes.AsStrings(a.query, maxNotes, maxNotes)
	warnings = append(warnings, a.warnings...)
	code := http.StatusOK
	b := make([]byte, 0, len(a.data)+256)
	if a.err != nil {
		code = statusOf[a.errType]
		b = append(b, `{"status":"error","errorType":`...)
		b = appendString(b, a.errType)
		b = append(b, `,"error":`...)
		b = appendString(b, a.err.Error())
	} else {
		b = append(b, `{"status":"success","data":`...)
		b = append(b, a.data...)
	}
	b = appendStrings(b, `,"warnings":`, warnings)
	b = appendStrings(b, `,"infos":`, infos)
	b = append(b, '}')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(code)
	_, _ = w.Write(b) // a client that went away is nobody's error
}

func appendStrings(b []byte, field string, list []string) []byte {
	if len(list) == 0 {
		return b
	}
	b = append(b, field...)
	for i, s := range list {
		b = append(b, "[,"[min(i, 1)])
		b = appendString(b, s)
	}
	return append(b, ']')
}

func appendString(b []byte, s string) []byte {
	q, _ := json.Marshal(s) // a string always encodes
	return append(b, q...)
}

// appendResult writes a query's value with its type.
func appendResult(b []byte, v parser.Value) []byte {
	b = append(b, `{"resultType":"`...)
	b = append(b, v.Type()...)
	b = append(b, `","result":`...)
	switch v := v.(type) {
	case promql.Scalar:
		b = appendPoint(b, v.T, v.V)
	case promql.String:
		b = append(appendTime(append(b, '['), v.T), ',')
		b = append(appendString(b, v.V), ']')
	case promql.Vector:
		b = append(b, '[')
		for i, s := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendSample(b, s)
		}
		b = append(b, ']')
	case promql.Matrix:
		b = append(b, '[')
		for i, s := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendSeries(b, s)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func appendSample(b []byte, s promql.Sample) []byte {
	b = appendLabels(append(b, `{"metric":`...), s.Metric)
	if s.H != nil {
		b = appendHistogramPoint(append(b, `,"histogram":`...), s.T, s.H)
	} else {
		b = appendPoint(append(b, `,"value":`...), s.T, s.F)
	}
	return append(b, '}')
}

func appendSeries(b []byte, s promql.Series) []byte {
	b = appendLabels(append(b, `{"metric":`...), s.Metric)
	if len(s.Floats) > 0 {
		b = append(b, `,"values":`...)
		for i, p := range s.Floats {
			b = appendPoint(append(b, "[,"[min(i, 1)]), p.T, p.F)
		}
		b = append(b, ']')
	}
	if len(s.Histograms) > 0 {
		b = append(b, `,"histograms":`...)
		for i, p := range s.Histograms {
			b = appendHistogramPoint(append(b, "[,"[min(i, 1)]), p.T, p.H)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func appendPoint(b []byte, t int64, v float64) []byte {
	b = append(appendTime(append(b, '['), t), ',')
	return append(appendFloat(b, v), ']')
}

func appendHistogramPoint(b []byte, t int64, h *histogram.FloatHistogram) []byte {
	b = append(appendTime(append(b, '['), t), ',')
	return append(appendHistogram(b, h), ']')
}

// appendTime writes milliseconds as seconds, exactly.
func appendTime(b []byte, ms int64) []byte {
	if ms < 0 {
		b, ms = append(b, '-'), -ms
	}
	b = strconv.AppendInt(b, ms/1000, 10)
	if frac := ms % 1000; frac != 0 {
		b = append(b, '.', byte('0'+frac/100), byte('0'+frac/10%10), byte('0'+frac%10))
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
	}
	return b
}

// appendFloat writes a value as a string, since JSON has no NaN and no infinities.
func appendFloat(b []byte, v float64) []byte {
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return append(strconv.AppendFloat(append(b, '"'), v, format, -1, 64), '"')
}

func appendLabels(b []byte, ls labels.Labels) []byte {
	b = append(b, '{')
	first := true
	ls.Range(func(l labels.Label) {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendString(b, l.Name), ':')
		b = appendString(b, l.Value)
	})
	return append(b, '}')
}

// appendHistogram writes count, sum and the buckets that hold anything: [which bounds belong to it, lower, upper, count].
func appendHistogram(b []byte, h *histogram.FloatHistogram) []byte {
	b = appendFloat(append(b, `{"count":`...), h.Count)
	b = appendFloat(append(b, `,"sum":`...), h.Sum)
	n := 0
	for it := h.AllBucketIterator(); it.Next(); {
		k := it.At()
		if k.Count == 0 {
			continue
		}
		if n++; n == 1 {
			b = append(b, `,"buckets":[`...)
		} else {
			b = append(b, ',')
		}
		b = append(b, '[', boundsOf(k.LowerInclusive, k.UpperInclusive), ',')
		b = append(appendFloat(b, k.Lower), ',')
		b = append(appendFloat(b, k.Upper), ',')
		b = append(appendFloat(b, k.Count), ']')
	}
	if n > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

func boundsOf(lower, upper bool) byte {
	switch {
	case lower && upper:
		return '3'
	case lower:
		return '1'
	case upper:
		return '0'
	default:
		return '2'
	}
}
