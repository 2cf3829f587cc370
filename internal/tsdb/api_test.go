package tsdb

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/errs"
)

func form(kv ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(kv); i += 2 {
		v.Add(kv[i], kv[i+1])
	}
	return v
}

// shelf is a database with a counter, a gauge with awkward labels and values, and a native histogram.
func shelf(t *testing.T) (*DB, time.Time) {
	db := openTest(t, Options{})
	t0 := time.Now().Add(-time.Hour).Truncate(time.Minute)
	app := db.tsdb.Appender(context.Background())
	for i := range int64(20) {
		at := t0.UnixMilli() + i*15_000
		for l, v := range map[string]float64{
			`c_total{k="a"}`: float64(i) * 30, `c_total{k="b"}`: 1, `g{k="<&\"é\n"}`: []float64{0.5, math.NaN(), math.Inf(-1), 1e-9}[i%4],
		} {
			ls, err := db.parser.ParseMetric(l)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := app.Append(0, ls, at, v); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := app.AppendHistogram(0, labels.FromStrings("__name__", "h"), at, tsdbutil.GenerateTestHistogram(i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	return db, t0
}

// apiCases are requests and answers; {+30} is half a minute after the shelf's first sample.
var apiCases = []struct {
	path string
	form url.Values
	code int
	want string // the whole body, or its beginning when it ends with …
}{
	{"query", form("query", "1+1", "time", "1435781451.781"), 200, ok(`{"resultType":"scalar","result":[1435781451.781,"2"]}`)},
	{"query", form("query", `"x"`, "time", "2015-07-01T20:10:51.5Z"), 200, ok(`{"resultType":"string","result":[1435781451.5,"x"]}`)},
	{"query", form("query", `c_total{k="a"}`, "time", "{+60}"), 200, ok(`{"resultType":"vector","result":[{"metric":{"__name__":"c_total","k":"a"},"value":[{+60},"120"]}]}`)},
	{"query", form("query", `c_total{k="a"}[30s]`, "time", "{+60}"), 200, ok(`{"resultType":"matrix","result":[{"metric":{"__name__":"c_total","k":"a"},"values":[[{+45},"90"],[{+60},"120"]]}]}`)},
	{"query", form("query", `nope`), 200, ok(`{"resultType":"vector","result":[]}`)},
	{"query", form("query", `h`, "time", "{+0}"), 200, ok(`{"resultType":"vector","result":[{"metric":{"__name__":"h"},"histogram":[{+0},{"count":"12","sum":"18.4","buckets":[[1,"-4","-2.82842712474619","1"],[1,"-2.82842712474619","-2","1"],[1,"-1.414213562373095","-1","2"],[1,"-1","-0.7071067811865475","1"],[3,"-0.001","0.001","2"],[0,"0.7071067811865475","1","1"],[0,"1","1.414213562373095","2"],[0,"2","2.82842712474619","1"],[0,"2.82842712474619","4","1"]]}]}]}`)},
	{"query", form("query", `rate(g[1m])`, "time", "{+60}"), 200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"k":"\u003c\u0026\"é\n"},"value":[{+60},"NaN"]}]},"infos":["PromQL info: metric might not be a counter…`},
	{"query", form("query", `sort(c_total)`, "time", "{+0}", "limit", "1"), 200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"c_total","k":"a"},"value":[{+0},"0"]}]},"warnings":["results truncated due to limit"]}`},
	{"query", form("query", `sum(`), 400, `{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:5: parse error: …`},
	{"query", form("query", `up`, "time", "NaN"), 400, `{"status":"error","errorType":"bad_data","error":"invalid parameter \"time\": …`},
	{"query", form("query", `up`, "time", "yesterday"), 400, `{"status":"error","errorType":"bad_data"…`},
	{"query", form("query", `up`, "limit", "-1"), 400, `{"status":"error","errorType":"bad_data","error":"invalid parameter \"limit\"…`},
	{"query", form("query", `up`, "timeout", "soon"), 400, `{"status":"error","errorType":"bad_data","error":"invalid parameter \"timeout\"…`},
	{"query", form("query", `up`, "timeout", "1ns"), 400, `{"status":"error","errorType":"bad_data"…`},
	{"query", form("query", `up`, "timeout", "0.000000001"), 503, `{"status":"error","errorType":"timeout"…`},
	{"query", form("query", `c_total * on() c_total`, "time", "{+0}"), 422, `{"status":"error","errorType":"execution","error":"found duplicate series…`},
	{"query_range", form("query", `c_total{k="a"}`, "start", "{+0}", "end", "{+60}", "step", "30"), 200, ok(`{"resultType":"matrix","result":[{"metric":{"__name__":"c_total","k":"a"},"values":[[{+0},"0"],[{+30},"60"],[{+60},"120"]]}]}`)},
	{"query_range", form("query", `count(h)`, "start", "{+0}", "end", "{+60}", "step", "1m"), 200, ok(`{"resultType":"matrix","result":[{"metric":{},"values":[[{+0},"1"],[{+60},"1"]]}]}`)},
	{"query_range", form("query", `1`, "start", "{+60}", "end", "{+0}", "step", "1m"), 400, `{"status":"error","errorType":"bad_data","error":"invalid parameter \"end\": end timestamp must not be before start time"}`},
	{"query_range", form("query", `1`, "start", "0", "end", "11001", "step", "1"), 400, `{"status":"error","errorType":"bad_data","error":"exceeded maximum resolution of 11,000 points…`},
	{"query_range", form("query", `1`, "start", "-1e15", "end", "1e15", "step", "1"), 400, `{"status":"error","errorType":"bad_data"…`},
	{"query_range", form("query", `1`, "start", "{+0}", "end", "{+60}", "step", "0"), 400, `{"status":"error","errorType":"bad_data","error":"invalid parameter \"step\"…`},
	{"query_range", form("query", `1`, "start", "{+0}", "end", "{+60}"), 400, `{"status":"error","errorType":"bad_data","error":"invalid parameter \"step\"…`},
	{"query_range", form("query", `1`, "end", "{+60}", "step", "1"), 400, `{"status":"error","errorType":"bad_data","error":"invalid parameter \"start\"…`},
	{"query_range", form("query", `c_total[1m]`, "start", "{+0}", "end", "{+60}", "step", "1"), 400, `{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\"…`},
	{"labels", nil, 200, ok(`["__name__","k"]`)},
	{"labels", form("match[]", "h"), 200, ok(`["__name__"]`)},
	{"labels", form("start", "0", "end", "1"), 200, ok(`[]`)},
	{"labels", form("match[]", "{}"), 400, `{"status":"error","errorType":"bad_data"…`},
	{"labels", form("match[]", "{", "match[]", "h"), 400, `{"status":"error","errorType":"bad_data"…`},
	{"labels", form("limit", "1"), 200, `{"status":"success","data":["__name__"],"warnings":["results truncated due to limit"]}`},
	{"label/k/values", form("match[]", "c_total", "match[]", "h"), 200, ok(`["a","b"]`)},
	{"label/__name__/values", nil, 200, ok(`["c_total","g","h"]`)},
	{"label/U__k/values", form("match[]", "c_total"), 200, ok(`["a","b"]`)},
	{"label/none/values", nil, 200, ok(`[]`)},
	{"label/%ff/values", nil, 400, `{"status":"error","errorType":"bad_data","error":"invalid label name…`},
	{"series", form("match[]", "c_total", "match[]", `{__name__=~"c_.*|h"}`), 200, ok(`[{"__name__":"c_total","k":"a"},{"__name__":"c_total","k":"b"},{"__name__":"h"}]`)},
	{"series", form("match[]", "c_total", "limit", "1"), 200, `{"status":"success","data":[{"__name__":"c_total","k":"a"}],"warnings":["results truncated due to limit"]}`},
	{"series", nil, 400, `{"status":"error","errorType":"bad_data","error":"no match[] parameter provided"}`},
	{"series", form("match[]", "c_total", "start", "x"), 400, `{"status":"error","errorType":"bad_data"…`},
	{"metadata", nil, 200, ok(`{"c_total":[{"type":"counter","help":"Cs.","unit":""}],"d":[{"type":"gauge","help":"","unit":""}]}`)},
	{"metadata", form("limit", "1"), 200, ok(`{"c_total":[{"type":"counter","help":"Cs.","unit":""}]}`)},
	{"metadata", form("metric", "d"), 200, ok(`{"d":[{"type":"gauge","help":"","unit":""}]}`)},
	{"metadata", form("limit", "x"), 400, `{"status":"error","errorType":"bad_data","error":"limit must be a number"}`},
	{"format_query", form("query", "sum(rate( c_total [5m]))by(k)"), 200, ok(`"sum by (k) (rate(c_total[5m]))"`)},
	{"format_query", form("query", "sum("), 400, `{"status":"error","errorType":"bad_data"…`},
	{"query_exemplars", form("query", "c_total", "start", "{+0}", "end", "{+60}"), 200, ok(`[]`)},
	{"rules", nil, 200, ok(`{"groups":[]}`)},
	{"alerts", nil, 200, ok(`{"alerts":[]}`)},
	{"status/buildinfo", nil, 200, `{"status":"success","data":{"version":"3.…`},
}

func ok(data string) string { return `{"status":"success","data":` + data + `}` }

func TestAPI(t *testing.T) {
	db, t0 := shelf(t)
	db.meta.by = map[string]map[string]Family{"x": {"c_total": {Type: "counter", Help: "Cs."}, "d": {Type: "gauge"}}, "y": {"c_total": {Type: "counter", Help: "Cs."}}}
	var pairs []string
	for _, s := range []int64{0, 30, 45, 60} {
		pairs = append(pairs, fmt.Sprintf("{+%d}", s), fmt.Sprint(t0.Unix()+s))
	}
	times := strings.NewReplacer(pairs...)
	h := db.Handler()
	if len(apiCases) < 40 {
		t.Fatalf("only %d cases", len(apiCases))
	}
	for _, c := range apiCases {
		c.want = times.Replace(c.want)
		filled := url.Values{}
		for k, vs := range c.form {
			for _, v := range vs {
				filled.Add(k, times.Replace(v))
			}
		}
		c.form = filled
		methods := []string{http.MethodGet}
		switch c.path {
		case "query", "query_range", "labels", "series", "format_query", "query_exemplars":
			methods = append(methods, http.MethodPost)
		}
		for _, m := range methods {
			code, body := request(t, h, m, "/api/v1/"+c.path, c.form)
			begin, cut := strings.CutSuffix(c.want, "…")
			if code != c.code || (cut && !strings.HasPrefix(body, begin)) || (!cut && body != c.want) {
				t.Errorf("%s %s %v:\n got %d %s\nwant %d %s", m, c.path, c.form, code, body, c.code, c.want)
			}
			if !json.Valid([]byte(body)) {
				t.Errorf("%s %s %v: no JSON: %s", m, c.path, c.form, body)
			}
		}
	}
	for path, code := range map[string]int{"/api/v1/nope": 404, "/": 404} {
		if got, _ := request(t, h, http.MethodGet, path, nil); got != code {
			t.Errorf("%s: %d, expected %d", path, got, code)
		}
	}
	if got, _ := request(t, h, http.MethodPost, "/api/v1/rules", nil); got != 405 {
		t.Errorf("POST rules: %d", got)
	}
}

func TestAPILimits(t *testing.T) {
	db, _ := shelf(t)
	h := db.Handler()
	big := form("query", strings.Repeat("1+", maxForm)+"1")
	if code, body := request(t, h, http.MethodPost, "/api/v1/query", big); code != 400 || !strings.Contains(body, "too large") {
		t.Errorf("large body: %d %.200s", code, body)
	}
	for _, expr := range []string{strings.Repeat("(", 30_000) + "1" + strings.Repeat(")", 30_000), strings.Repeat("1+", 30_000) + "1", strings.Repeat("abs(", 10_000), strings.Repeat(" ", maxExpr) + "1"} {
		begin := time.Now()
		for _, path := range []string{"query", "query_range", "format_query", "query_exemplars", "series"} {
			code, _ := request(t, h, http.MethodPost, "/api/v1/"+path, form("query", expr, "match[]", expr, "start", "0", "end", "1", "step", "1"))
			if took := time.Since(begin); code != 400 || took > 2*time.Second {
				t.Errorf("%s of %.9s…: %d after %s", path, expr, code, took)
			}
		}
		if _, err := db.Query(t.Context(), expr, time.Now()); !errs.Is(err, errs.Invalid) {
			t.Errorf("query of %.9s…: %v", expr, err)
		}
	}
	many := url.Values{"match[]": make([]string, maxMatchers+1)}
	if code, _ := request(t, h, http.MethodPost, "/api/v1/series", many); code != 400 {
		t.Errorf("many selectors: %d", code)
	}
	// More samples than the engine may load.
	whole := db.engine
	db.engine = promql.NewEngine(promql.EngineOpts{Parser: db.parser, MaxSamples: 1000, Timeout: queryTimeout})
	heavy := form("query", "sum_over_time(vector(1)[20000s:1s])", "timeout", "20s")
	code, body := request(t, h, http.MethodGet, "/api/v1/query", heavy)
	db.engine = whole
	if code != 422 || !strings.Contains(body, "too many samples") {
		t.Errorf("heavy query: %d %.200s", code, body)
	}
	// All seats taken: one more waits no longer than it said.
	for range maxConcurrentQueries {
		db.queries <- struct{}{}
	}
	if code, body := request(t, h, http.MethodGet, "/api/v1/query", form("query", "1", "timeout", "20ms")); code != 503 || !strings.Contains(body, `"timeout"`) {
		t.Errorf("no seat: %d %s", code, body)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/query?query=1", nil))
	if w.Code != statusClientGone || !strings.Contains(w.Body.String(), `"canceled"`) {
		t.Errorf("client gone: %d %s", w.Code, w.Body)
	}
	for range maxConcurrentQueries {
		<-db.queries
	}
}

// The engine's own types know their JSON; ours must mean the same.
func TestEncodingIsPrometheus(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		ls := labels.FromMap(rapid.MapOfN(text.Filter(func(s string) bool { return s != "" }), text.Filter(func(s string) bool { return s != "" }), 0, 3).Draw(t, "labels"))
		at := rapid.Int64Range(-1e12, 1e13)
		value := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1e21, 1e-7}))
		hist := func() *histogram.FloatHistogram {
			if rapid.Bool().Draw(t, "custom") {
				return tsdbutil.GenerateTestCustomBucketsFloatHistogram(rapid.Int64Range(0, 9).Draw(t, "h"))
			}
			return tsdbutil.GenerateTestFloatHistogram(rapid.Int64Range(0, 9).Draw(t, "h"))
		}
		series := promql.Series{Metric: ls}
		for range rapid.IntRange(0, 3).Draw(t, "floats") {
			series.Floats = append(series.Floats, promql.FPoint{T: at.Draw(t, "t"), F: value.Draw(t, "v")})
		}
		for range rapid.IntRange(0, 2).Draw(t, "histograms") {
			series.Histograms = append(series.Histograms, promql.HPoint{T: at.Draw(t, "t"), H: hist()})
		}
		v := rapid.SampledFrom([]parser.Value{
			promql.Matrix{series, series}, promql.Matrix{}, promql.Vector{},
			promql.Vector{{Metric: ls, T: at.Draw(t, "t"), F: value.Draw(t, "v")}, {Metric: ls, T: at.Draw(t, "t"), H: hist()}},
			promql.String{T: at.Draw(t, "t"), V: text.Draw(t, "s")},
		}).Draw(t, "value")
		theirs, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var got, want any
		mine := appendResult(nil, v)
		if err := json.Unmarshal(mine, &got); err != nil {
			t.Fatalf("%v: %s", err, mine)
		}
		if err := json.Unmarshal([]byte(`{"resultType":"`+string(v.Type())+`","result":`+string(theirs)+`}`), &want); err != nil {
			t.Fatal(err)
		}
		if got, want = numbers(got), numbers(want); !cmp.Equal(got, want) {
			t.Fatal(cmp.Diff(want, got))
		}
	})
}

// numbers replaces strings by the numbers they stand for: the engine's own encoding never uses exponents, the API's does.
func numbers(v any) any {
	switch v := v.(type) {
	case string:
		if f, err := strconv.ParseFloat(v, 64); err == nil {
			return fmt.Sprint(f)
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}

func TestQueries(t *testing.T) {
	db, t0 := shelf(t)
	ctx := t.Context()
	end := t0.Add(time.Minute)
	vs, err := db.Query(ctx, `c_total{k="a"}`, end)
	if want := []Value{{map[string]string{"__name__": "c_total", "k": "a"}, 120}}; err != nil || !cmp.Equal(vs, want) {
		t.Errorf("%v, %v", vs, err)
	}
	if got := one(t, db, "3*4", end); got != 12 {
		t.Errorf("scalar: %v", got)
	}
	ls, err := db.QueryRange(ctx, "sum(g)", t0, end, 15*time.Second)
	s := float64(t0.Unix())
	if want := []Line{{map[string]string{}, [][2]float64{{s, .5}, {s + 45, 1e-9}, {s + 60, .5}}}}; err != nil || !cmp.Equal(ls, want) {
		t.Errorf("%v, %v", ls, err)
	}
	for expr, kind := range map[string]errs.Kind{
		"sum(": errs.Invalid, "h": errs.Invalid, "c_total[1m]": errs.Invalid, `"text"`: errs.Invalid, "c_total * on() c_total": errs.Invalid,
	} {
		if _, err := db.Query(ctx, expr, end); !errs.Is(err, kind) {
			t.Errorf("%s: %v, expected %s", expr, err, kind)
		}
	}
	for name, f := range map[string]func() error{
		"histograms":  func() error { _, err := db.QueryRange(ctx, "h", t0, end, time.Second); return err },
		"no step":     func() error { _, err := db.QueryRange(ctx, "1", t0, end, 0); return err },
		"backwards":   func() error { _, err := db.QueryRange(ctx, "1", end, t0, 1); return err },
		"many points": func() error { _, err := db.QueryRange(ctx, "1", t0, end, time.Millisecond); return err },
	} {
		if err := f(); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	over, cancel := context.WithTimeout(ctx, 0)
	defer cancel()
	if _, err := db.Query(over, "1", end); !errs.Is(err, errs.Unavailable) {
		t.Errorf("without time: %v", err)
	}
}
