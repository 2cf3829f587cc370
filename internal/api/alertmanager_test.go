package api_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/notifier"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/test/plane"
)

// ask makes one request of Alertmanager's API.
func am(t *testing.T, p *plane.Plane, role policy.Role, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, p.URL+"/api/v2/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.Tokens[role])
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}

// Status codes and words are Alertmanager's own.
func TestAlertmanagersAPI(t *testing.T) {
	p := plane.Start(t)
	ends := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	silence := func(matchers, more string) string {
		return `{"matchers":[` + matchers + `],"startsAt":"2026-01-01T00:00:00Z","endsAt":"` + ends + `","createdBy":"ann","comment":"x"` + more + `}`
	}
	const shop = `{"name":"service","value":"shop","isRegex":false}`
	for _, c := range []struct {
		role               policy.Role
		method, path, body string
		status             int
		holds              string
	}{
		{policy.Operator, "POST", "alerts", `[]`, 200, ""},
		{policy.Operator, "POST", "alerts", `[{"labels":{"alertname":"A","service":"shop","empty":""},"generatorURL":"http://x"}]`, 200, ""},
		{policy.Viewer, "POST", "alerts", `[]`, 403, ""},
		{policy.Alerter, "POST", "alerts", `[]`, 200, ""},
		{policy.Alerter, "GET", "alerts", "", 403, "alerter"},
		{policy.Alerter, "POST", "silences", silence(shop, ""), 403, "alerter"},
		{policy.Operator, "POST", "alerts", `{`, 400, `"code":400`},
		{policy.Operator, "POST", "alerts", `[{"annotations":{}}]`, 422, `alerts.0.labels in body is required`},
		{policy.Operator, "POST", "alerts", `[{"labels":{}},{"labels":{"alertname":"B"}}]`, 400, `at least one label`},
		{policy.Operator, "POST", "alerts", `[{"labels":{"a":"b"},"startsAt":"2026-02-01T00:00:00Z","endsAt":"2026-01-01T00:00:00Z"}]`, 400, `start time must be before end time`},
		{policy.Viewer, "GET", "alerts", "", 200, `"alertname":"B"`}, // the good one of a batch is taken
		{policy.Viewer, "GET", `alerts?filter=alertname%3D%22A%22`, "", 200, `"state":"active"`},
		{policy.Viewer, "GET", `alerts?filter=oops`, "", 400, "matcher"},
		{policy.Viewer, "GET", `alerts?active=maybe`, "", 422, "boolean"},
		{policy.Viewer, "GET", "alerts/groups", "", 200, `"receiver"`},
		{policy.Viewer, "GET", "status", "", 200, `"versionInfo"`},
		{policy.Viewer, "GET", "receivers", "", 200, "[]"},
		{policy.Operator, "POST", "silences", silence(shop, ""), 200, `"silenceID"`},
		{policy.Operator, "POST", "silences", silence("", ""), 422, "at least 1 items"},
		{policy.Operator, "POST", "silences", `{}`, 422, "comment in body is required"},
		{policy.Operator, "POST", "silences", silence(`{"name":"a","value":"","isRegex":false}`, ""), 400, "at least one matcher must not match the empty string"},
		{policy.Operator, "POST", "silences", silence(`{"name":"a","value":"(","isRegex":true}`, ""), 400, "regular expression"},
		{policy.Operator, "POST", "silences", strings.Replace(silence(shop, ""), ends, "2025-01-01T00:00:00Z", 1), 400, "start time must be before end time"},
		{policy.Operator, "POST", "silences", strings.NewReplacer(ends, "2026-01-02T00:00:00Z").Replace(silence(shop, "")), 400, "end time can't be in the past"},
		{policy.Operator, "POST", "silences", silence(shop, `,"id":"4f2c19aa-0000-4000-8000-000000000000"`), 404, "silence not found"},
		{policy.Viewer, "GET", "silences?expired=false", "", 200, `"state":"active"`},
		{policy.Viewer, "GET", `alerts?filter=alertname%3D%22A%22`, "", 200, `"state":"suppressed"`},
		{policy.Viewer, "GET", `alerts?filter=alertname%3D%22A%22&silenced=false`, "", 200, `[]`},
		{policy.Viewer, "GET", "silence/4f2c19aa-0000-4000-8000-000000000000", "", 404, ""},
		{policy.Operator, "DELETE", "silence/4f2c19aa-0000-4000-8000-000000000000", "", 404, ""},
	} {
		status, body := am(t, p, c.role, c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.holds) {
			t.Errorf("%s %s %s: %d %s, expected %d with %s", c.method, c.path, c.body, status, body, c.status, c.holds)
		}
	}
	_, body := am(t, p, policy.Viewer, "GET", "silences", "")
	var all []struct{ ID string }
	if err := json.Unmarshal([]byte(body), &all); err != nil || len(all) != 1 {
		t.Fatal(body, err)
	}
	for i, want := range []int{200, 500} { // what is over cannot be ended again
		if status, body := am(t, p, policy.Operator, "DELETE", "silence/"+all[0].ID, ""); status != want {
			t.Errorf("end %d: %d %s, expected %d", i, status, body, want)
		}
	}
}

// Prometheus sends its alerts unchanged.
func TestPrometheusSends(t *testing.T) {
	p := plane.Start(t)
	cfg := config.DefaultAlertmanagerConfig
	cfg.HTTPClientConfig.Authorization = &config_util.Authorization{Type: "Bearer", Credentials: config_util.Secret(p.Tokens[policy.Operator])}
	host := strings.TrimPrefix(p.URL, "http://")
	static := discovery.StaticConfig{{Targets: []model.LabelSet{{model.AddressLabel: model.LabelValue(host)}}}}
	cfg.ServiceDiscoveryConfigs = discovery.Configs{static}
	manager := notifier.NewManager(&notifier.Options{QueueCapacity: 100, MaxBatchSize: 64, Registerer: prometheus.NewRegistry()}, model.UTF8Validation, promslog.NewNopLogger())
	whole := &config.Config{AlertingConfig: config.AlertingConfig{AlertmanagerConfigs: config.AlertmanagerConfigs{&cfg}}}
	if err := manager.ApplyConfig(whole); err != nil {
		t.Fatal(err)
	}
	groups := make(chan map[string][]*targetgroup.Group, 1)
	found := map[string][]*targetgroup.Group{}
	for name := range whole.AlertingConfig.AlertmanagerConfigs.ToMap() {
		found[name] = []*targetgroup.Group{{Targets: static[0].Targets}}
	}
	groups <- found
	go manager.Run(groups)
	defer manager.Stop()
	a := &notifier.Alert{Labels: labels.FromStrings("alertname", "FromPrometheus", "service", "shop", "severity", "critical"), Annotations: labels.FromStrings("summary", "x"), StartsAt: time.Now(),
		EndsAt: time.Now().Add(time.Hour), GeneratorURL: "http://prometheus/graph"}
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		manager.Send(a)
		o, err := p.Viewer.Alerts(context.Background())
		if err != nil || time.Now().After(end) {
			t.Fatal("not there", err)
		}
		if len(o.Alerts) == 1 {
			got := o.Alerts[0]
			if got.Labels[alert.Name] != "FromPrometheus" || got.Annotations["summary"] != "x" || got.GeneratorURL != "http://prometheus/graph" || got.ID != (alert.Alert{Labels: a.Labels.Map()}).ID() {
				t.Errorf("%+v", got)
			}
			break
		}
	}
}

// amtool, where it is installed, works as with Alertmanager.
func TestAmtool(t *testing.T) {
	tool, err := exec.LookPath("amtool")
	if err != nil {
		t.Skip("amtool is not installed")
	}
	p := plane.Start(t)
	dir := t.TempDir()
	signIn := filepath.Join(dir, "http.yml")
	if err := os.WriteFile(signIn, []byte("authorization: {credentials: "+p.Tokens[policy.Operator]+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(want string, args ...string) string {
		t.Helper()
		cmd := exec.Command(tool, append([]string{"--alertmanager.url", p.URL, "--http.config.file", signIn}, args...)...)
		cmd.Env = []string{"HOME=" + dir}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("amtool %v: %v %s, expected %q", args, err, out, want)
		}
		return strings.TrimSpace(string(out))
	}
	run("", "alert", "add", "alertname=Disk", "service=shop", "--annotation=summary=full")
	run("Disk", "alert", "query", "service=shop")
	id := run("", "silence", "add", "service=shop", "--comment=x", "--author=ann", "--duration=1h")
	run(id, "silence", "query")
	run("Disk", "alert", "query", "--silenced")
	run("", "silence", "expire", id)
	run(id, "silence", "query", "--expired")

}
