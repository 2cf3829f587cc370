package api

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/sqlite"
)

func newKeyring(t *testing.T, now *time.Time) *keyring {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &keyring{store: s, now: func() time.Time { return *now }}
}

func TestLifeOfAKey(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	k := newKeyring(t, &now)
	who := policy.Principal{Name: "admin", Role: policy.Admin}
	begin := func(body string) (store.Doc, *answer, error) {
		return k.begin(httptest.NewRequest(http.MethodPost, "/v1/apply", nil), who, "key", []byte(body))
	}
	answered := func(doc store.Doc, status int, text string) {
		rec := &recorder{ResponseWriter: httptest.NewRecorder(), status: status}
		rec.body.WriteString(text)
		k.end(t.Context(), doc, rec, true)
	}
	_, before, err := begin("a")
	if before != nil || err != nil {
		t.Fatal(before, err)
	}
	if _, _, err := begin("a"); !errs.Is(err, errs.Unavailable) {
		t.Errorf("while it is worked on: %v", err)
	}
	now = now.Add(workLife + time.Second)
	doc, before, err := begin("a")
	if before != nil || err != nil {
		t.Fatalf("after a crash: %v, %v", before, err)
	}
	answered(doc, 500, "oops")
	if doc, before, err = begin("a"); before != nil || err != nil {
		t.Fatalf("after a failure of ours: %v, %v", before, err)
	}
	answered(doc, 409, "no")
	if _, before, err = begin("a"); err != nil || before == nil || before.Status != 409 || string(before.Body) != "no" {
		t.Fatalf("after an answer: %+v, %v", before, err)
	}
	if _, _, err := begin("b"); !errs.Is(err, errs.Invalid) {
		t.Errorf("for another request: %v", err)
	}
	now = now.Add(keyLife + time.Second)
	if doc, before, err = begin("b"); before != nil || err != nil {
		t.Errorf("a day later: %v, %v", before, err)
	}
	answered(doc, 200, "yes")
}

func TestAPanicFreesTheKey(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	k := newKeyring(t, &now)
	s := &Server{mux: http.NewServeMux()}
	s.keys.store, s.keys.now = k.store, k.now
	s.mux.HandleFunc("POST /x", func(http.ResponseWriter, *http.Request) { panic(errors.New("a defect")) })
	who := policy.Principal{Name: "admin", Role: policy.Admin}
	for range 2 { // the second would find the key taken
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			s.once(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/x", nil), who, "key")
		}()
	}
}

func TestOldAnswersAreRemoved(t *testing.T) {
	now := time.Now().UTC()
	k := newKeyring(t, &now)
	var w store.Write
	for _, name := range []string{"old", "new"} {
		d := store.Doc{Kind: kindAnswer, Name: name, Updated: now, Body: []byte("{}")}
		if name == "old" {
			d.Updated = now.Add(-keyLife - time.Hour)
		}
		w.Puts = append(w.Puts, d)
	}
	if _, err := k.store.Commit(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	k.sweep(t.Context())
	docs, err := k.store.List(t.Context(), store.Page{Kind: kindAnswer})
	if err != nil || len(docs) != 1 || docs[0].Name != "new" {
		t.Errorf("%v, %v", docs, err)
	}
}
