package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/gateway"
)

// running is a data plane that serves what it had saved: one instance, and no control plane.
func running(t *testing.T) (data string, run func(context.Context) error, fail func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data = t.TempDir()
	token := filepath.Join(data, "token")
	if err := os.WriteFile(token, []byte(access.NewToken()), 0o600); err != nil {
		t.Fatal(err)
	}
	desired, err := json.Marshal(fleet.Desired{Unit: "local", Services: []fleet.Service{{Name: "shop", Generation: 4,
		Rings: []fleet.Ring{{Name: "all"}}, Exposure: []string{"v1"}, Route: fleet.Route{Host: "shop.localhost"},
		Slots: []fleet.Slot{{Version: "v1", Command: []string{self, "instance", "{address}"}, Instances: 1, Ready: fleet.Ready{TCP: true}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := writeFile(filepath.Join(data, "desired.json"), desired); err != nil {
		t.Fatal(err)
	}
	d, err := newDataPlane(DataPlaneConfig{Data: data, Unit: "local", Server: "http://127.0.0.1:1", TokenFile: token, Admin: "127.0.0.1:0",
		StopInstances: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	public, admin := listen(t), listen(t)
	return data, func(ctx context.Context) error { return d.run(ctx, public, admin) }, func() { _ = admin.Close() }
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestOnlyACleanEndStopsTheInstances(t *testing.T) {
	for name, clean := range map[string]bool{"asked to end": true, "failed": false} {
		t.Run(name, func(t *testing.T) {
			data, run, fail := running(t)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- run(ctx) }()
			var pid int
			await(t, "an instance that is ready", func() bool {
				r, err := ReadRunFile(data, "dataplane")
				pid = readyInstance(r.URL)
				return err == nil && pid != 0
			})
			if clean {
				cancel()
			} else {
				fail()
			}
			if err := <-ended; (err == nil) != clean {
				t.Errorf("ended with %v", err)
			}
			if alive(pid) == clean {
				t.Errorf("the instance runs: %v", alive(pid))
			}
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		})
	}
}

// readyInstance is the process of the one instance that the health page shows as ready.
func readyInstance(admin string) int {
	res, err := http.Get(admin + "/healthz")
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	var page struct{ Observed fleet.Observed }
	if json.NewDecoder(res.Body).Decode(&page) != nil || len(page.Observed.Services) == 0 || len(page.Observed.Services[0].Slots) == 0 {
		return 0
	}
	for _, in := range page.Observed.Services[0].Slots[0].Instances {
		if in.Ready {
			return in.PID
		}
	}
	return 0
}

func TestUsersAreSavedWhenThereIsSomethingNew(t *testing.T) {
	dir := t.TempDir()
	d := &dataPlane{gateway: gateway.New(gateway.Options{}), users: disk(filepath.Join(dir, "users.json"))}
	saved := func() bool {
		t.Helper()
		if err := d.saveChanged(); err != nil {
			t.Fatal(err)
		}
		return os.Remove(string(d.users)) == nil
	}
	if saved() {
		t.Error("saved before there was anything")
	}
	if err := d.gateway.Apply(t.Context(), []fleet.Service{{Name: "shop", Rings: []fleet.Ring{{Name: "all"}}, Exposure: []string{"v1"}}}); err != nil {
		t.Fatal(err)
	}
	if !saved() || saved() {
		t.Error("something new is to be saved once")
	}
	d.saved, d.users = 0, disk(filepath.Join(dir, "none", "x"))
	if err := os.WriteFile(filepath.Join(dir, "none"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.saveChanged(); err == nil || d.saved != 0 {
		t.Errorf("a disk that takes nothing: %v, changes %d taken for saved", err, d.saved)
	}
}
