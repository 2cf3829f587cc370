package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/rulebook"
)

// What a gateway tells of the one version of a service, and of its one instance.
const (
	of  = `service="shop",version="v2",unit="local"`
	one = of + `,instance="0"`
)

func healthy(i int) string {
	return fmt.Sprintf("# TYPE ringfence_requests_total counter\nringfence_requests_total{%s,ring=\"all\",code=\"200\"} %d\nringfence_instance_ready{%s} 1\nringfence_disk_size_bytes{unit=\"local\"} 1e11\n"+
		"ringfence_memory_available_bytes{unit=\"local\"} 8e9\n# TYPE ringfence_instance_restarts_total counter\nringfence_instance_restarts_total{%s} 0\nringfence_instance_max_files{%s} 1000\n", of, 300*i, one, one, one)
}

// stories are a gateway's metrics in slices of 15 s, next to what is healthy, with what must fire at their end.
var stories = map[string]struct {
	more    func(i int) string // of slice i of 15 s; "replace …" replaces what is healthy
	minutes int
	want    string
}{
	"nothing": {func(int) string { return "" }, 10, ""},
	"errors": {func(i int) string {
		return fmt.Sprintf("ringfence_requests_total{%s,ring=\"all\",code=\"500\"} %d\n", of, 10*i)
	}, 10, "ErrorsBurn ErrorsBurnSlowly"},
	"a few errors": {func(i int) string {
		return fmt.Sprintf("ringfence_requests_total{%s,ring=\"all\",code=\"500\"} %d\n", of, i/10)
	}, 10, ""},
	"lull": {func(int) string {
		return "ringfence_traffic_rate{service=\"shop\"} 1\nringfence_traffic_lull{service=\"shop\"} 1\n"
	}, 3, "TrafficDrop"},
	"not ready": {func(i int) string { return replaced(i > 20, one, "ringfence_instance_ready", "0") }, 8, "InstanceHangs NoInstanceReady"},
	"crashes":   {func(i int) string { return replaced(true, one, "ringfence_instance_restarts_total", fmt.Sprint(i/6)) }, 8, "CrashLooping"},
	"one crash": {func(i int) string { return replaced(true, one, "ringfence_instance_restarts_total", fmt.Sprint(i/20)) }, 8, ""},
	"leak":      {func(i int) string { return fmt.Sprintf("ringfence_instance_memory_bytes{%s} %d\n", one, 20e6+i*200e6) }, 5, "MemoryLeak"},
	"cache": {func(i int) string {
		return fmt.Sprintf("ringfence_instance_memory_bytes{%s} %d\n", one, 20e6+min(i, 5)*400e6)
	}, 5, ""},
	"slow leak": {func(i int) string { return fmt.Sprintf("ringfence_instance_memory_bytes{%s} %d\n", one, 20e6+i*8e6) }, 90, "MemoryLeak"},
	"files":     {func(int) string { return fmt.Sprintf("ringfence_instance_open_files{%s} 850\n", one) }, 3, "FilesRunOut"},
	"full disk": {func(int) string { return "ringfence_disk_free_bytes{unit=\"local\"} 2e9\n" }, 3, "DiskFull"},
	"disk fills": {func(i int) string {
		return fmt.Sprintf("ringfence_disk_free_bytes{unit=\"local\"} %d\n", int(45e9)-i*1e9)
	}, 5, "DiskFills"},
	"fills slowly": {func(i int) string {
		return fmt.Sprintf("ringfence_disk_free_bytes{unit=\"local\"} %d\n", int(32e9)-i*3e7)
	}, 95, "DiskFills"},
	"backup": {func(i int) string {
		return fmt.Sprintf("ringfence_disk_free_bytes{unit=\"local\"} %d\n", int(45e9)-max(0, i-200)*25e7)
	}, 72, ""},
	"silence": {func(i int) string { return map[bool]string{true: "silent"}[i > 8] }, 5, "UnitNotMeasured"},
	"pages": {func(i int) string {
		return fmt.Sprintf("ringfence_rum_views_total{%s,page=\"/\"} %d\nringfence_rum_errors_total{%s,page=\"/\",kind=\"error\"} %d\n", of, 20*i, of, 4*i)
	}, 8, "BrowserErrors"},
	"pages are well": {func(i int) string {
		return fmt.Sprintf("ringfence_rum_views_total{%s,page=\"/\"} %d\nringfence_rum_errors_total{%s,page=\"/\",kind=\"error\"} %d\n", of, 200*i, of, i)
	}, 8, ""},
}

// TestRulesFire tells what wakes whom: each story is a gateway's metrics, minute by minute, with what must fire at its end, and
// nothing else may.
func TestRulesFire(t *testing.T) {
	gateway := map[string]string{"job": "gateway", "unit": "local", "instance": "127.0.0.1:7401"}
	for name, tt := range stories {

		t.Run(name, func(t *testing.T) {
			p, closed, err := openPast(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer closed()
			if err := p.Declare(rulebook.Rules(nil), 15*time.Second); err != nil {
				t.Fatal(err)
			}
			at := time.Now().UTC().Truncate(time.Hour).Add(-4 * time.Hour)
			fired := map[string]bool{}
			for i := range tt.minutes * 4 {
				at = at.Add(15 * time.Second)
				body := []byte(tt.more(i) + healthy(i))
				if strings.HasPrefix(string(body), "silent") {
					body = nil
				}
				if err := p.Scrape(gateway, at, "text/plain", body); err != nil {
					t.Fatal(err)
				}
				if i < tt.minutes*4-20 && i%40 != 0 {
					continue // the last five minutes
				}
				firing, err := p.Evaluate(t.Context(), at)
				if err != nil {
					t.Fatal(err)
				}
				for _, a := range firing {
					fired[a.Labels[alert.Name]] = true
				}
			}
			var got []string
			for name := range fired {
				got = append(got, name)
			}
			slices.Sort(got)
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("fired: %q, expected %q", s, tt.want)
			}
		})
	}
}

// replaced is a series with another value than when all is well; of a series that stands twice, the first counts.
func replaced(is bool, labels, name, value string) string {
	if !is {
		return ""
	}
	return name + "{" + labels + "} " + value + "\n"
}
