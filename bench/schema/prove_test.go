package main

import (
	"io"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/store/pgtest"
)

// The proof in short, without its timings: no error of a client, no row that differs.
func TestProof(t *testing.T) {
	server, err := pgtest.Start(pgtest.NeedBinaries(t), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	r, err := prove(t.Context(), config{address: server.Address(""), rows: 20_000, writes: 300, workers: 3, each: 2 * time.Second, out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.verdict(false); err != nil {
		t.Fatal(err)
	}
	for _, p := range r.phases {
		if p.tally.writes == 0 {
			t.Errorf("nobody wrote during: %s", p.name)
		}
	}
}
