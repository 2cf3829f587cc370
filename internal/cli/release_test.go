package cli

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// TestCommitted: what is said goes, a Go program tells by itself, and of anything else nothing is known.
func TestCommitted(t *testing.T) {
	if at, err := committed("2026-11-02T15:04:05+01:00", ""); err != nil || !at.Equal(time.Date(2026, 11, 2, 14, 4, 5, 0, time.UTC)) {
		t.Errorf("%v, %v", at, err)
	}
	if _, err := committed("yesterday", ""); !errs.Is(err, errs.Invalid) {
		t.Errorf("%v", err)
	}
	script := filepath.Join(t.TempDir(), "run.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, artifact := range []string{"", script, script + ".none"} {
		if at, err := committed("", artifact); err != nil || !at.IsZero() {
			t.Errorf("%q: %v, %v", artifact, at, err)
		}
	}
}
