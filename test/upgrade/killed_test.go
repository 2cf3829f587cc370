package upgrade

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringfence/ringfence/test/sandbox"
)

// TestKilledWhileUpgraded kills, at any moment of an upgrade, one of the processes that take part in it: the one that goes or the one that
// comes, of either plane. Whatever the upgrade came to, there is one control plane and one data plane afterwards, the instances are those
// of before, and both answer. RINGFENCE_KILLS says how often, else four times.
func TestKilledWhileUpgraded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes its time")
	}
	times := 4
	if n, err := strconv.Atoi(os.Getenv("RINGFENCE_KILLS")); err == nil {
		times = n
	}
	r := newRig(t)
	now := filepath.Join(programs, "ringfence")
	began := time.Now()
	r.ringfence("", "upgrade", "--to", now) // how long one takes
	whole := time.Since(began)
	ended := map[string]int{}
	for i := range times {
		before := r.planes()
		upgrade := r.command("upgrade", "--to", now)
		var said bytes.Buffer
		upgrade.Stdout, upgrade.Stderr = &said, &said
		if err := upgrade.Start(); err != nil {
			t.Fatal(err)
		}
		<-time.After(rand.N(whole)) // any moment will do
		all := r.planes()
		victim := all[rand.IntN(len(all))]
		comes := "comes"
		if slices.Contains(before, victim) {
			comes = "goes"
		}
		_ = syscall.Kill(victim.pid, syscall.SIGKILL)
		err := upgrade.Wait()
		ended[fmt.Sprintf("%s that %s, upgrade done %v", victim.plane, comes, err == nil)]++
		if err := sandbox.Await(r.whole); err != nil {
			t.Fatalf("round %d: killed the %s that %s; the upgrade said\n%s\n%v: %v", i, victim.plane, comes, said.String(), r.planes(), err)
		}
	}
	for what, n := range ended {
		t.Logf("%3d × %s", n, what)
	}
	r.ringfence("", "upgrade", "--to", now) // and goes as ever
}

// process is one of a plane.
type process struct {
	plane string
	pid   int
}

// planes are the processes of the rig's folder that are planes.
func (r *rig) planes() []process {
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		r.t.Fatal(err)
	}
	var planes []process
	for _, path := range all {
		text, err := os.ReadFile(path)
		args := strings.Split(string(text), "\x00")
		if err != nil || len(args) < 2 || !strings.Contains(string(text), r.data) || args[1] != "server" && args[1] != "dataplane" {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(path, "/")[2])
		if err != nil {
			r.t.Fatal(err)
		}
		planes = append(planes, process{args[1], pid})
	}
	return planes
}

// whole says what is amiss: more or less than one process of a plane, or one that does not answer.
func (r *rig) whole() error {
	count := map[string]int{}
	for _, p := range r.planes() {
		count[p.plane]++
	}
	if count["server"] != 1 || count["dataplane"] != 1 {
		return fmt.Errorf("processes: %v", count)
	}
	req, err := http.NewRequest(http.MethodGet, "http://"+r.up.Gateway+"/", nil)
	if err != nil {
		return err
	}
	req.Host = "shop.localhost"
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway: %s", res.Status)
	}
	out, err := r.command("service", "show", "shop").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "v1") {
		return fmt.Errorf("the control plane: %v\n%s", err, out)
	}
	return nil
}
