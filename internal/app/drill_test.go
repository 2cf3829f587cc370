package app

import (
	"testing"

	"github.com/ringfence/ringfence/internal/drill"
)

// TestHealthyTimeIsQuiet lets a quarter of an hour pass, in which the data plane is restarted.
func TestHealthyTimeIsQuiet(t *testing.T) {
	p, closed, err := openPast(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer closed()
	got, err := drill.RunHealthy(t.Context(), p, drill.Time{Seed: 1, From: 13.25, Hours: 0.25}, func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	if got.Requests < 10_000 || got.Events == 0 || got.Rules == 0 {
		t.Errorf("nothing passed: %+v", got)
	}
	for _, a := range got.Alarms {
		t.Errorf("a false alarm: %v %v %v", a.StartsAt, a.Labels, a.Annotations["summary"])
	}
}
