package app

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/sqlite"
)

// What changes state without an event is refused, whichever part of the program tries.
func TestNothingChangesUnrecorded(t *testing.T) {
	base, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	s := recorded{base}
	doc := func(kind string) store.Doc { return store.Doc{Kind: kind, Name: "x", Body: []byte(`1`)} }
	for _, kind := range []string{"Token", "Service", "FlagSet", "Line", "AccessPolicy", "Incident", "anything new"} {
		if _, err := s.Commit(t.Context(), store.Write{Puts: []store.Doc{doc(kind)}}); !errs.Is(err, errs.Internal) {
			t.Errorf("%s was put without an event: %v", kind, err)
		}
		gone := doc(kind)
		gone.Rev = 1
		if _, err := s.Commit(t.Context(), store.Write{Deletes: []store.Doc{gone}}); !errs.Is(err, errs.Internal) {
			t.Errorf("%s was deleted without an event: %v", kind, err)
		}
	}
	e, err := audit.New(time.Now(), "token.created", "user:test", "token/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), store.Write{Puts: []store.Doc{doc("Token")}, Events: []audit.Event{e}}); err != nil {
		t.Fatal(err)
	}
	for kind, why := range bookkeeping {
		if why == "" {
			t.Errorf("%s: without a reason", kind)
		}
		if _, err := s.Commit(t.Context(), store.Write{Puts: []store.Doc{doc(kind)}}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
