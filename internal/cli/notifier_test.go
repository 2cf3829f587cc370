package cli_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ringfence/ringfence/internal/cli"
)

func TestNotifiers(t *testing.T) {
	var status atomic.Int32
	status.Store(http.StatusOK)
	var asked atomic.Int32
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(int(status.Load()))
		_, _ = w.Write([]byte("ok"))
	}))
	defer receiver.Close()
	p := start(t)
	write(t, filepath.Join(p.Dir, "secrets", "slack-shop"), receiver.URL+"/services/unsayable")
	ok(t, run(t, p.Dir, `apiVersion: ringfence.dev/v1
kind: Notifier
metadata: {name: shop-channel}
spec: {to: {slack: {urlFile: slack-shop}}}
`, "apply", "-f", "-"))
	ok(t, run(t, p.Dir, "", "notifier", "test", "shop-channel"), "shop-channel was told by slack\n")
	ok(t, run(t, p.Dir, "", "notifier", "list"), "shop-channel  slack    0")

	// A message that does not arrive is one attempt, and a failure.
	status.Store(http.StatusServiceUnavailable)
	before := asked.Load()
	r := run(t, p.Dir, "", "notifier", "test", "shop-channel")
	if r.code != cli.ExitUnavailable || !strings.Contains(r.err, "answered 503: ok") || strings.Contains(r.err, "unsayable") || asked.Load() != before+1 {
		t.Errorf("exit %d after %d attempts: %s", r.code, asked.Load()-before, r.err)
	}
	r = run(t, p.Dir, "", "notifier", "test", "shop-channel", "--json")
	if r.code != cli.ExitUnavailable || !strings.Contains(r.out, `"delivered": false`) {
		t.Errorf("exit %d: %s", r.code, r.out)
	}
	ok(t, run(t, p.Dir, "", "events", "--type", "notify.tested", "--json"), `"error":"127.0.0.1:`)
	if r := run(t, p.Dir, "", "notifier", "test", "none"); r.code != cli.ExitMissing {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
}
