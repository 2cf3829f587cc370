package main

import (
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	if v := os.Getenv(instanceEnv); v != "" {
		instance(v)
		return
	}
	os.Exit(m.Run())
}

// TestSoak is the short one.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	var out strings.Builder
	err := soak(t.Context(), 20, 1, &out)
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
}
