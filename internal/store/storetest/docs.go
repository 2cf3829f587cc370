package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

func testRoundTrip(t *testing.T, p Place) {
	s := Open(t, p)
	_, err := s.Get(t.Context(), "service", "shop")
	wantKind(t, err, errs.Missing)

	commit(t, s, put(doc("service", "shop", 0, `{"a":1}`)))
	same(t, get(t, s, "service", "shop"), doc("service", "shop", 1, `{"a":1}`))
	commit(t, s, put(doc("service", "shop", 1, `{"a":2}`)))
	same(t, get(t, s, "service", "shop"), doc("service", "shop", 2, `{"a":2}`))
	_, err = s.Get(t.Context(), "ringplan", "shop")
	wantKind(t, err, errs.Missing)

	commit(t, s, store.Write{Deletes: []store.Doc{{Kind: "service", Name: "shop", Rev: 2}}})
	_, err = s.Get(t.Context(), "service", "shop")
	wantKind(t, err, errs.Missing)
	commit(t, s, put(doc("service", "shop", 0, `{"a":3}`)))
	same(t, get(t, s, "service", "shop"), doc("service", "shop", 1, `{"a":3}`))

	if events := commit(t, s, store.Write{}); len(events) != 0 {
		t.Fatalf("an empty write made %d events", len(events))
	}

	before := time.Now().Add(-time.Microsecond).UTC()
	commit(t, s, put(store.Doc{Kind: "service", Name: "timeless", Body: []byte(`1`)}))
	got := get(t, s, "service", "timeless").Updated
	if got.Before(before.Truncate(time.Microsecond)) || got.After(time.Now()) {
		t.Fatalf("a put without a time got %v, expected now", got)
	}
}

func testBodies(t *testing.T, p Place) {
	s := Open(t, p)
	big := `"` + strings.Repeat("x", store.MaxBody-2) + `"`
	for i, body := range []string{
		`null`, `""`, `{}`, ` { "b" : 1 ,
	"a":2, "a":3 } `, // white space, order and doubled keys stay
		`"é\u00e9\u0000\ud83d\ude00😀<>&` + "\u2028\x7f" + `"`,
		`1e400`, `12345678901234567890123`, `"'; DROP TABLE docs; --"`, big,
	} {
		name := numbered(i)
		w := put(doc("body", name, 0, body))
		e := event("body.kept", name)
		e.Data = []byte(body)
		w.Events = []audit.Event{e}
		commit(t, s, w)
		if got := string(get(t, s, "body", name).Body); got != body {
			t.Fatalf("%.60q came back as %.60q", body, got)
		}
		got, err := s.Events(t.Context(), store.EventQuery{Subject: name})
		if err != nil || len(got) != 1 || string(got[0].Data) != body {
			t.Fatalf("event data %.60q came back as %.200v, %v", body, got, err)
		}
	}
	Record(t, s)
}

func testConflicts(t *testing.T, p Place) {
	s := Open(t, p)
	commit(t, s, put(doc("k", "one", 0, `1`), doc("k", "two", 0, `1`)))
	commit(t, s, put(doc("k", "two", 1, `2`)))
	for name, w := range map[string]store.Write{
		"create what exists":     put(doc("k", "one", 0, `9`)),
		"stale":                  put(doc("k", "two", 1, `9`)),
		"from the future":        put(doc("k", "two", 3, `9`)),
		"change what is not":     put(doc("k", "three", 1, `9`)),
		"delete stale":           {Deletes: []store.Doc{{Kind: "k", Name: "two", Rev: 1}}},
		"delete what is not":     {Deletes: []store.Doc{{Kind: "k", Name: "three", Rev: 1}}},
		"one good and one stale": put(doc("k", "one", 1, `9`), doc("k", "two", 1, `9`)),
	} {
		_, err := s.Commit(t.Context(), w)
		wantKind(t, err, errs.Conflict)
		last := append(w.Puts, w.Deletes...)
		if want := "k/" + last[len(last)-1].Name; !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q does not name %s", name, err, want)
		}
	}
	same(t, get(t, s, "k", "one"), doc("k", "one", 1, `1`))
	same(t, get(t, s, "k", "two"), doc("k", "two", 2, `2`))
}

func testAllOrNothing(t *testing.T, p Place) {
	s := Open(t, p)
	commit(t, s, store.Write{Puts: []store.Doc{doc("k", "there", 0, `1`), doc("k", "gone", 0, `1`)}, Events: []audit.Event{event("a.done", "k/there")}})
	_, err := s.Commit(t.Context(), store.Write{
		Puts:    []store.Doc{doc("k", "new", 0, `1`), doc("k", "there", 7, `2`)},
		Deletes: []store.Doc{{Kind: "k", Name: "gone", Rev: 1}},
		Events:  []audit.Event{event("b.done", "k/there"), event("c.done", "k/there")},
	})
	wantKind(t, err, errs.Conflict)
	_, err = s.Get(t.Context(), "k", "new")
	wantKind(t, err, errs.Missing)
	same(t, get(t, s, "k", "there"), doc("k", "there", 1, `1`))
	same(t, get(t, s, "k", "gone"), doc("k", "gone", 1, `1`))
	if got := Record(t, s); len(got) != 1 || got[0].Type != "a.done" {
		t.Fatalf("record is %v", got)
	}
}

func testRefused(t *testing.T, p Place) {
	s := Open(t, p)
	bad := func(change func(*audit.Event)) store.Write {
		e := event("a.done", "k/n")
		change(&e)
		return store.Write{Events: []audit.Event{e}}
	}
	long := strings.Repeat("x", store.MaxName+1)
	for name, w := range map[string]store.Write{
		"no kind":            put(doc("", "n", 0, `1`)),
		"no name":            put(doc("k", "", 0, `1`)),
		"long name":          put(doc("k", long, 0, `1`)),
		"zero byte":          put(doc("k", "a\x00b", 0, `1`)),
		"not UTF-8":          put(doc("k", "a\xff", 0, `1`)),
		"negative revision":  put(doc("k", "n", -1, `1`)),
		"no body":            put(doc("k", "n", 0, ``)),
		"not JSON":           put(doc("k", "n", 0, `{`)),
		"body not UTF-8":     put(doc("k", "n", 0, "\"\xff\"")),
		"body too long":      put(doc("k", "n", 0, `"`+strings.Repeat("x", store.MaxBody)+`"`)),
		"twice":              put(doc("k", "n", 0, `1`), doc("k", "n", 0, `2`)),
		"put and deleted":    {Puts: []store.Doc{doc("k", "n", 1, `1`)}, Deletes: []store.Doc{{Kind: "k", Name: "n", Rev: 1}}},
		"delete of anything": {Deletes: []store.Doc{{Kind: "k", Name: "n"}}},
		"too many":           {Events: make([]audit.Event, store.MaxItems+1)},
		"event type":         bad(func(e *audit.Event) { e.Type = "" }),
		"event actor":        bad(func(e *audit.Event) { e.Actor = "" }),
		"event subject":      bad(func(e *audit.Event) { e.Subject = "\x00" }),
		"event data":         bad(func(e *audit.Event) { e.Data = []byte(`{`) }),
		"event time":         bad(func(e *audit.Event) { e.Time = time.Time{} }),
		"event year":         bad(func(e *audit.Event) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }),
	} {
		if _, err := s.Commit(t.Context(), w); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: got %v, expected it refused as invalid", name, err)
		}
	}
	if got := Record(t, s); len(got) != 0 {
		t.Fatalf("refused writes left %v", got)
	}
	// The longest that is allowed, and a body that needs every escape.
	name := strings.Repeat("é", store.MaxName/2)
	commit(t, s, put(doc(name, name, 0, `1`)))
	same(t, get(t, s, name, name), doc(name, name, 1, `1`))
}

func testList(t *testing.T, p Place) {
	s := Open(t, p)
	// In order of bytes: capitals before small letters, the longer after its prefix, % and _ mean nothing.
	names := []string{"%", "A", "_", "a", "a%", "a-b", "a.b", "aB", "a_", "ab", "ab\U0010ffff", "ab\U0010ffffx", "ac", "a\ud7ff", "a\ue000", "b", "é", "日本", "😀"}
	var w store.Write
	for i := len(names) - 1; i >= 0; i-- {
		w.Puts = append(w.Puts, doc("k", names[i], 0, `1`), doc("other", names[i], 0, `1`))
	}
	commit(t, s, w)
	for _, c := range []struct {
		page store.Page
		want []string
	}{
		{store.Page{Kind: "k"}, names},
		{store.Page{Kind: "none"}, nil},
		{store.Page{Kind: "k", Limit: 2}, names[:2]},
		{store.Page{Kind: "k", After: "_", Limit: 3}, []string{"a", "a%", "a-b"}},
		{store.Page{Kind: "k", After: "a zz"}, names[4:]},
		{store.Page{Kind: "k", Prefix: "ab"}, []string{"ab", "ab\U0010ffff", "ab\U0010ffffx"}},
		{store.Page{Kind: "k", Prefix: "ab\U0010ffff"}, []string{"ab\U0010ffff", "ab\U0010ffffx"}},
		{store.Page{Kind: "k", Prefix: "a\ud7ff"}, []string{"a\ud7ff"}},
		{store.Page{Kind: "k", Prefix: "a", After: "ab", Limit: 2}, []string{"ab\U0010ffff", "ab\U0010ffffx"}},
		{store.Page{Kind: "k", Prefix: "a", After: "b"}, nil},
		{store.Page{Kind: "k", Prefix: "%"}, []string{"%"}},
		{store.Page{Kind: "k", Prefix: "\U0010ffff"}, nil},
	} {
		docs, err := s.List(t.Context(), c.page)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range docs {
			same(t, d, doc("k", d.Name, 1, `1`))
			got = append(got, d.Name)
		}
		same(t, got, c.want)
	}
	for _, bad := range []store.Page{{}, {Kind: "k", Limit: -1}, {Kind: "k", Limit: store.MaxLimit + 1}, {Kind: "k", Prefix: "\xff"}, {Kind: "k", After: "\x00"}} {
		_, err := s.List(t.Context(), bad)
		wantKind(t, err, errs.Invalid)
	}
}
