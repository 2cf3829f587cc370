package units

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/test/sandbox"
)

// programs is the folder with ringfence and the shop's versions.
var programs string

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // everything here builds the binary and runs it
	}
	sandbox.Main(m, &programs)
}

// rig is a control plane and the data planes of its units.
type rig struct {
	*testing.T
	client   *client.Client
	up       *sandbox.Up
	gateways map[string]string // by unit
	admins   map[string]string
	flags    map[string]string
}

// start runs the first unit with the control plane, as ringfence up does, and each other as a process of its own.
func start(t *testing.T, manifest string, units ...string) *rig {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	up, err := sandbox.Start(programs, data, os.Environ(), append(sandbox.Quick, "--unit", units[0])...)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, up: up, gateways: map[string]string{units[0]: up.Gateway}, admins: map[string]string{units[0]: up.Admin}, flags: map[string]string{units[0]: up.Flags}}
	t.Cleanup(func() {
		up.Stop()
		if t.Failed() {
			t.Log(up.Logs())
		}
	})
	token, err := access.ReadToken(filepath.Join(data, access.AdminFile))
	if err != nil {
		t.Fatal(err)
	}
	r.client = client.New(client.Options{URL: up.API, Token: token})
	for _, unit := range units[1:] {
		r.join(unit)
	}
	r.apply(manifest)
	return r
}

func (r *rig) apply(manifest string) {
	r.Helper()
	if _, err := r.client.Apply(r.Context(), []wire.File{{Name: "shop.yaml", Text: manifest}}, false); err != nil {
		r.Fatal(err)
	}
}

// join starts the data plane of another unit on this machine, with the one token that data planes have.
func (r *rig) join(unit string) {
	r.Helper()
	data := filepath.Join(r.TempDir(), unit)
	if err := os.Mkdir(data, 0o700); err != nil {
		r.Fatal(err)
	}
	log, err := os.Create(data + ".log")
	if err != nil {
		r.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(programs, "ringfence"), "dataplane", "--data", data, "--unit", unit, "--server", r.up.API, "--token-file",
		filepath.Join(r.up.Data, access.DataPlaneFile), "--gateway", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--flags", "127.0.0.1:0", "--stop-instances")
	cmd.Stdout, cmd.Stderr = log, log
	if err := sandbox.Launch(cmd); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if r.Failed() {
			said, _ := os.ReadFile(log.Name())
			r.Logf("the data plane of %s ends with:\n%s", unit, said[max(0, len(said)-4000):])
		}
	})
	r.await("the data plane of "+unit, func() error {
		b, err := os.ReadFile(filepath.Join(data, "run", "dataplane.json"))
		if err != nil {
			return err
		}
		var at sandbox.Plane
		if err := json.Unmarshal(b, &at); err != nil {
			return err
		}
		r.gateways[unit], r.admins[unit], r.flags[unit] = at.Gateway, at.URL, at.Flags
		return nil
	})
}

func (r *rig) await(what string, try func() error) {
	r.Helper()
	if err := sandbox.Await(try); err != nil {
		r.Fatalf("%s: %v", what, err)
	}
}

// get is what a user sees at a unit's gateway.
func (r *rig) get(unit, user, path string) (int, string) {
	r.Helper()
	status, body, err := fetch(r.Context(), "http://"+r.gateways[unit]+path, user)
	if err != nil {
		r.Fatalf("unit %s: %v", unit, err)
	}
	return status, body
}

func fetch(ctx context.Context, url, user string) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, sandbox.Limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	req.Host = "shop.localhost"
	req.Header.Set("X-User-ID", user)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// sees wants a user's page to hold a text.
func (r *rig) sees(unit, user, path, want string) {
	r.Helper()
	if status, body := r.get(unit, user, path); status != http.StatusOK || !strings.Contains(body, want) {
		r.Errorf("unit %s, %s: expected %q, got %d %s", unit, path, want, status, body)
	}
}

// everyoneSees asks at a gateway as a number of users.
func (r *rig) everyoneSees(unit, want string) {
	r.Helper()
	for i := range 20 {
		r.sees(unit, fmt.Sprintf("u%d@customers.example", i), "/", want)
	}
}

// release releases a version of the shop, or a config, or both; artifact is one of sandbox's builds.
func (r *rig) release(order wire.Release, artifact string) rollout.State {
	r.Helper()
	if artifact != "" {
		stored, err := r.client.PutFile(r.Context(), filepath.Join(programs, artifact))
		if err != nil {
			r.Fatal(err)
		}
		order.Digest = stored.Digest
	}
	started, err := r.client.Release(r.Context(), "shop", order)
	if err != nil {
		r.Fatal(err)
	}
	return started.Rollout
}

// until waits until a rollout is as wanted, or has ended otherwise.
func (r *rig) until(id, what string, ok func(rollout.State) bool) rollout.State {
	r.Helper()
	var now wire.Rollout
	r.await(id+": "+what, func() (err error) {
		now, err = r.client.Rollout(r.Context(), id)
		if err == nil && !ok(now.Rollout) {
			err = fmt.Errorf("%s in ring %d: %s", now.Rollout.Phase, now.Rollout.Ring, now.Waiting)
			if now.Rollout.Phase.Ended() {
				r.Fatalf("expected %s, but %v", what, err)
			}
		}
		return err
	})
	return now.Rollout
}

func (r *rig) ends(id string, phase rollout.Phase) rollout.State {
	r.Helper()
	return r.until(id, string(phase), func(s rollout.State) bool { return s.Phase == phase })
}

// asks waits until a rollout asks for leave to enter a ring: what it has changed so far stays as it is until then.
func (r *rig) asks(id, ring string) rollout.State {
	r.Helper()
	return r.until(id, "asking for ring "+ring, func(s rollout.State) bool { return s.Asked == ring })
}

func (r *rig) approve(id, ring string) {
	r.Helper()
	if _, err := r.client.Approve(r.Context(), id, wire.Decision{Ring: ring, Reason: "as seen"}, false); err != nil {
		r.Fatal(err)
	}
}

// answered reports whether a unit's gateway has given any user an answer of a version.
func (r *rig) answered(unit, version string) bool {
	r.Helper()
	_, body, err := fetch(r.Context(), r.admins[unit]+"/metrics", "")
	if err == nil && !strings.Contains(body, "ringfence_requests_total{") {
		err = errors.New("no request is counted")
	}
	if err != nil {
		r.Fatalf("unit %s: %v", unit, err)
	}
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "ringfence_requests_total{") && strings.Contains(line, fmt.Sprintf("version=%q", version)) && !strings.HasSuffix(strings.TrimSpace(line), " 0") {
			return true
		}
	}
	return false
}

// drive sends users to the gateways of units until the test ends or the returned function is called, which gives for
// each how many answers of 500 and above the service gave. None may be the gateway's own.
func (r *rig) drive(units ...string) func() map[string]int64 {
	stops := map[string]func() map[string]int64{}
	for _, unit := range units {
		stop := sandbox.Drive(r.gateways[unit], 150, 200)
		stops[unit] = func() map[string]int64 {
			seen, first := stop()
			if seen.FailedByRingfence > 0 || seen.Requests == 0 {
				r.Errorf("unit %s: of %d requests Ringfence failed %d, the first: %s", unit, seen.Requests, seen.FailedByRingfence, first)
			}
			return map[string]int64{unit: seen.FailedByService}
		}
	}
	failed := map[string]int64{}
	end := func() map[string]int64 {
		for unit, stop := range stops {
			delete(stops, unit)
			failed[unit] = stop()[unit]
		}
		return failed
	}
	r.Cleanup(func() { end() })
	return end
}
