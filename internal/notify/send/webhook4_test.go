package send_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/notify/send"
	"github.com/ringfence/ringfence/internal/resource"
)

var update = flag.Bool("update", false, "write the golden files")

// page4 is a page of three alerts, of which one is over.
func page4() alert.Notice {
	began := time.Date(2026, 3, 1, 9, 30, 0, 123_000_000, time.UTC)
	one := func(pod, code string) alert.Alert {
		return alert.Alert{Labels: map[string]string{"alertname": "Errors", "service": "shop", "severity": "page", "pod": pod}, Annotations: map[string]string{"summary": "shop fails", "code": code},
			StartsAt: began, GeneratorURL: "https://rf.example/explore?query=up"}
	}
	over := one("c", "500")
	over.EndsAt = began.Add(time.Hour)
	return alert.Notice{ID: "n1", Receiver: "team.shop+1", GroupKey: `alerts:{}/{service="shop"}:{alertname="Errors"}`, GroupLabels: map[string]string{"alertname": "Errors"}, Reason: alert.Grows,
		Page: alert.Page{Status: alert.Firing, Alerts: []alert.Alert{one("a", "502"), one("b", "503")}, At: began.Add(2 * time.Hour)}, Ended: []alert.Alert{over}, Source: "https://rf.example"}
}

// TestWebhook4 holds what programs get that take Alertmanager's webhooks against golden files, which have the fields of its documentation in the
// order in which it writes them. (go test ./internal/notify/send -run Webhook4 -update writes them anew.)
func TestWebhook4(t *testing.T) {
	resolved := page4()
	resolved.Page.Status, resolved.Reason, resolved.Page.Alerts, resolved.Ended = alert.Resolved, alert.Ends, resolved.Ended, nil
	bare := page4()
	bare.GroupLabels, bare.Ended, bare.Page.Alerts = nil, nil, []alert.Alert{{Labels: map[string]string{"alertname": "Bare"}, StartsAt: bare.Page.At}}
	for name, tt := range map[string]struct {
		to resource.AlertmanagerTo
		n  alert.Notice
	}{
		"firing":     {resource.AlertmanagerTo{}, page4()},
		"truncated":  {resource.AlertmanagerTo{Most: 1}, page4()},
		"noresolved": {resource.AlertmanagerTo{NoResolved: true, Most: 2}, page4()},
		"resolved":   {resource.AlertmanagerTo{}, resolved},
		"bare":       {resource.AlertmanagerTo{}, bare},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
			tt.to.URL, tt.to.TokenFile = f.URL+"/hook", "key"
			s := send.New(send.Options{Secrets: secrets(t, map[string]string{"key": key + "\n"}), Version: "v1"})
			if err := s.Alert(t.Context(), resource.Receiver{Alertmanager: &tt.to}, tt.n); err != nil {
				t.Fatal(err)
			}
			h := f.all()[0]
			if h.path != "/hook" || h.header.Get("Content-Type") != "application/json" || h.header.Get("Authorization") != "Bearer "+key {
				t.Errorf("%s with %v", h.path, h.header)
			}
			var got bytes.Buffer
			if err := json.Indent(&got, h.body, "", "  "); err != nil {
				t.Fatal(err)
			}
			got.WriteByte('\n')
			golden := filepath.Join("testdata", "webhook4-"+name+".json")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got.String()); d != "" {
				t.Error(d)
			}
		})
	}
}
