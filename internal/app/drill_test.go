package app

import (
	"os"
	"strconv"
	"testing"

	"github.com/ringfence/ringfence/internal/drill"
)

// TestHealthyHoursAreQuiet lets hours with a deployment, a restart of each plane and a blip pass.
func TestHealthyHoursAreQuiet(t *testing.T) {
	p, closed, err := openPast(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer closed()
	span := drill.Time{Seed: 1, From: 13.25, Hours: 0.25}
	if h, err := strconv.ParseFloat(os.Getenv("HOURS"), 64); err == nil {
		span.From, span.Hours = 0, h
	}
	got, err := drill.RunHealthy(t.Context(), p, span, func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", got)
	for _, a := range got.Alarms {
		t.Errorf("a false alarm: %v %v %v", a.StartsAt, a.Labels, a.Annotations["summary"])
	}
}
