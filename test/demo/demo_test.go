package demo

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

type ring struct {
	Name         string
	ExposedUsers int64
	Seconds      float64
	Verdict      string
}

type outcome struct {
	Version, Outcome, Reason                   string
	Rings                                      []ring
	TimeToDetectSeconds, TimeToMitigateSeconds *float64
	ExposedUsers, RequestsToBadVersion         int64
}

type summary struct {
	Rollouts []outcome
	Traffic  struct{ Requests, FailedByService, FailedByRingfence int64 }
	Ready    struct{ Seconds float64 }
}

func TestTheMainJob(t *testing.T) {
	if testing.Short() {
		t.Skip("the demo takes a minute")
	}
	root := filepath.Join("..", "..")
	binary := filepath.Join(t.TempDir(), "ringfence")
	build := exec.Command("go", "build", "-o", binary, "./cmd/ringfence")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var stdout, stderr bytes.Buffer
	demo := exec.Command(binary, "demo", "--json")
	demo.Dir, demo.Stdout, demo.Stderr = root, &stdout, &stderr
	if err := demo.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, stderr.String(), stdout.String())
	}
	dec := json.NewDecoder(&stdout)
	dec.DisallowUnknownFields()
	var s summary
	if err := dec.Decode(&s); err != nil {
		t.Fatal(err)
	}
	if dec.More() {
		t.Error("standard output holds more than the one document")
	}
	check(t, s)
	t.Logf("\n%s", stderr.String())
}

func check(t *testing.T, s summary) {
	t.Helper()
	var versions, rings []string
	for _, o := range s.Rollouts {
		versions = append(versions, o.Version+" "+o.Outcome)
	}
	if !slices.Equal(versions, []string{"v2 succeeded", "v3 rolledBack", "v4 rolledBack"}) {
		t.Fatalf("rollouts: %v", versions)
	}
	good, bad, broken := s.Rollouts[0], s.Rollouts[1], s.Rollouts[2]
	for _, r := range good.Rings {
		rings = append(rings, r.Name+" "+r.Verdict)
		if r.Seconds < 5 || r.ExposedUsers == 0 {
			t.Errorf("ring %s: %d users in %.1f s", r.Name, r.ExposedUsers, r.Seconds)
		}
	}
	if !slices.Equal(rings, []string{"canary pass", "early pass", "broad pass", "all pass"}) || good.TimeToDetectSeconds != nil {
		t.Errorf("v2: %v, detected %v", rings, good.TimeToDetectSeconds)
	}
	last := bad.Rings[len(bad.Rings)-1]
	if last.Verdict != "fail" || bad.TimeToDetectSeconds == nil || bad.TimeToMitigateSeconds == nil || *bad.TimeToMitigateSeconds < *bad.TimeToDetectSeconds {
		t.Errorf("v3: %+v", bad)
	}
	if bad.RequestsToBadVersion == 0 || bad.RequestsToBadVersion > s.Traffic.Requests/20 || s.Traffic.FailedByService == 0 {
		t.Errorf("v3 got %d of %d requests, %d failed", bad.RequestsToBadVersion, s.Traffic.Requests, s.Traffic.FailedByService)
	}
	if broken.RequestsToBadVersion != 0 || broken.ExposedUsers != 0 || len(broken.Rings) != 0 {
		t.Errorf("v4: %+v", broken)
	}
	if s.Traffic.FailedByRingfence != 0 {
		t.Errorf("Ringfence failed %d requests", s.Traffic.FailedByRingfence)
	}
}
