package tsdb

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

func TestSubqueriesThatNeedTooMuchAreRefused(t *testing.T) {
	db, _ := shelf(t)
	h := db.Handler()
	end := time.Now()
	for _, c := range []struct {
		expr string
		span time.Duration // 0: at one time
		step time.Duration
		says string // "" when it is taken
	}{
		{"quantile_over_time(0.9, c_total[15d:1ms])", 0, 0, "subqueries, up to [15d:1ms], need 1296000001 steps for each series, expected at most 50000"},
		{"max_over_time(c_total[15d:30s])", 0, 0, ""},
		{"max_over_time(c_total[15d:])", 0, 0, ""},
		{"max_over_time(c_total[40d:])", 0, 0, "[40d:1m], need 57601 steps"},
		{"max_over_time(c_total[15d:1m]) - min_over_time(c_total[15d:1m])", 0, 0, ""},
		{"max_over_time(c_total[15d:30s]) - min_over_time(c_total[15d:30s])", 0, 0, "need 86402 steps"}, // each alone would do
		{"max_over_time(max_over_time(c_total[1h:10s])[1d:10s])", 0, 0, ""},
		{"max_over_time(max_over_time(c_total[2h:1s])[2h:1s])", 0, 0, "read 7201 times, need 51854400 results"},
		{"-(1 + sum(abs(max_over_time((c_total)[1y:1s]))))", 0, 0, "steps"}, // wherever it is
		{"max_over_time(c_total[1h:1m])", 15 * 24 * time.Hour, 5 * time.Minute, ""},
		{"max_over_time(c_total[10s:1ms])", 15 * 24 * time.Hour, 5 * time.Minute, "need 1296010001 steps"}, // the windows are short, and many
		{"max_over_time(c_total[20000s:1s])", time.Hour, time.Second, "read 3601 times, need 72020000 results"},
		{"max_over_time(c_total[20000s:1s] @ end())", time.Hour, time.Second, ""}, // evaluated once
		{"max_over_time(max_over_time(c_total[20000s:1s] @ 0)[1h:1s])", time.Hour, 30 * time.Second, ""},
		{"max_over_time(c_total[1h:1s] offset 1d)", 0, 0, ""},
		{"max_over_time(c_total[292y:1h])", 0, 0, "steps"},
		{"max_over_time(c_total[", 0, 0, "parse error"},
	} {
		f, path := form("query", c.expr), "/api/v1/query"
		_, err := db.Query(t.Context(), c.expr, end)
		if c.span > 0 {
			begin := end.Add(-c.span)
			f, path = form("query", c.expr, "start", begin.Format(time.RFC3339), "end", end.Format(time.RFC3339), "step", c.step.String()), "/api/v1/query_range"
			_, err = db.QueryRange(t.Context(), c.expr, begin, end, c.step)
		}
		began := time.Now()
		code, body := request(t, h, http.MethodGet, path, f)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s took %s", c.expr, took)
		}
		if c.says == "" {
			if code != http.StatusOK || err != nil {
				t.Errorf("%s: %d %s, %v", c.expr, code, body, err)
			}
			continue
		}
		if code != http.StatusBadRequest || !strings.Contains(body, `"errorType":"bad_data"`) || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d %s, expected %q", c.expr, code, body, c.says)
		}
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, expected %q", c.expr, err, c.says)
		}
	}
}
