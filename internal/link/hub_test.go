package link

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/store"
)

// shelf is a store of Desired documents, in pages of two.
type shelf struct {
	mu   sync.Mutex
	docs []store.Doc
	said []audit.Event
	fail error
}

func (s *shelf) Get(_ context.Context, kind, name string) (store.Doc, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.docs {
		if d.Kind == kind && d.Name == name {
			return d, s.fail
		}
	}
	return store.Doc{}, cmp.Or(s.fail, error(errs.E(errs.Missing, "there is no %s/%s", kind, name)))
}

func (s *shelf) Commit(_ context.Context, w store.Write) ([]audit.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return nil, s.fail
	}
	for _, d := range w.Puts {
		i := slices.IndexFunc(s.docs, func(o store.Doc) bool { return o.Kind == d.Kind && o.Name == d.Name })
		if i < 0 && d.Rev != 0 || i >= 0 && s.docs[i].Rev != d.Rev {
			return nil, errs.E(errs.Conflict, "%s/%s was changed meanwhile", d.Kind, d.Name)
		}
		d.Rev++
		if i < 0 {
			s.docs = append(s.docs, d)
		} else {
			s.docs[i] = d
		}
	}
	s.said = append(s.said, w.Events...)
	return w.Events, nil
}

func (s *shelf) put(name string, generation int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, service, _ := strings.Cut(name, "/")
	body, _ := json.Marshal(fleet.Service{Name: service, Generation: generation})
	s.docs = slices.DeleteFunc(s.docs, func(d store.Doc) bool { return d.Name == name })
	s.docs = append(s.docs, store.Doc{Kind: "Desired", Name: name, Body: body})
	slices.SortFunc(s.docs, func(a, b store.Doc) int { return cmp.Compare(a.Name, b.Name) })
}

func (s *shelf) List(_ context.Context, p store.Page) ([]store.Doc, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var page []store.Doc
	for _, d := range s.docs {
		if d.Kind == p.Kind && strings.HasPrefix(d.Name, p.Prefix) && d.Name > p.After && len(page) < 2 {
			page = append(page, d)
		}
	}
	return page, s.fail
}

func names(d fleet.Desired) string {
	var all []string
	for _, s := range d.Services {
		all = append(all, s.Name)
	}
	return strings.Join(all, " ")
}

func TestAUnitGetsItsOwnAndAll(t *testing.T) {
	s := &shelf{}
	for _, name := range []string{"local/a", "local/b", "local/c", "local/d", "local/e", "local-2/x", "other/y"} {
		s.put(name, 1)
	}
	d, tag, err := NewHub(s, "Desired", func() {}).Desired(t.Context(), "local", "", 0)
	if err != nil || d.Unit != "local" || names(d) != "a b c d e" {
		t.Errorf("%+v %v", d, err)
	}
	if _, again, _ := NewHub(s, "Desired", func() {}).Desired(t.Context(), "local", "", 0); again != tag {
		t.Errorf("another control plane tags the same as %s and %s", tag, again)
	}
	s.put("local/c", 2)
	if _, other, _ := NewHub(s, "Desired", func() {}).Desired(t.Context(), "local", tag, 0); other == tag {
		t.Error("a change keeps the tag")
	}
}

func TestAWaitEndsWithWhatItWaitsFor(t *testing.T) {
	for name, c := range map[string]struct {
		after   time.Duration
		happens func(s *shelf, h *Hub)
		least   time.Duration
		most    time.Duration
		same    bool
	}{
		"published":                {time.Second, func(s *shelf, h *Hub) { s.put("local/shop", 2); h.Publish("local") }, time.Second, time.Second, false},
		"published of another":     {time.Second, func(s *shelf, h *Hub) { s.put("other/shop", 2); h.Publish("other") }, 20 * time.Second, 20 * time.Second, true},
		"published without change": {time.Second, func(s *shelf, h *Hub) { h.Publish("local") }, 20 * time.Second, 20 * time.Second, true},
		"written by another":       {time.Second, func(s *shelf, h *Hub) { s.put("local/shop", 2) }, time.Second, 1*time.Second + pollEvery, false},
		"nothing":                  {time.Hour, func(*shelf, *Hub) {}, 20 * time.Second, 20 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &shelf{}
				s.put("local/shop", 1)
				h := NewHub(s, "Desired", func() {})
				_, have, err := h.Desired(t.Context(), "local", "", 0)
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				time.AfterFunc(c.after, func() { c.happens(s, h) })
				d, tag, err := h.Desired(t.Context(), "local", have, 20*time.Second)
				took := time.Since(began)
				if err != nil || took < c.least || took > c.most || (tag == have) != c.same || names(d) != "shop" {
					t.Errorf("after %s: %+v, same %v, %v", took, d, tag == have, err)
				}
			})
		})
	}
}

func TestAWaitEndsWithItsCallerAndWithTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		h := NewHub(s, "Desired", func() {})
		_, have, _ := h.Desired(t.Context(), "local", "", 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := h.Desired(ctx, "local", have, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("its caller has left: %v", err)
		}
		s.fail = errs.E(errs.Unavailable, "disk I/O error")
		if _, _, err := h.Desired(t.Context(), "local", have, time.Hour); !errs.Is(err, errs.Unavailable) {
			t.Errorf("the store is gone: %v", err)
		}
	})
}

func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		h := NewHub(&shelf{}, "Desired", func() { told++ })
		if _, at := h.Observe("local", "shop"); !at.IsZero() || h.Admin("local") != "" || len(h.Units()) != 0 || len(h.units) != 0 {
			t.Errorf("before any report: %s, %d units", at, len(h.units))
		}
		if err := h.Report(t.Context(), fleet.Observed{}); !errs.Is(err, errs.Invalid) || told != 0 {
			t.Errorf("a report of no unit: %v", err)
		}
		when := time.Now()
		o := fleet.Observed{Unit: "local", Admin: "http://127.0.0.1:7401", Time: when.Add(-time.Hour), // of a clock that is wrong
			Services: []fleet.ServiceStatus{{Name: "cart", Generation: 2}, {Name: "shop", Generation: 7}}}
		if err := h.Report(t.Context(), o); err != nil || told != 1 {
			t.Errorf("told %d times, %v", told, err)
		}
		time.Sleep(time.Minute)
		if s, at := h.Observe("local", "shop"); s.Generation != 7 || !at.Equal(when) || h.Admin("local") != o.Admin {
			t.Errorf("%+v at %s", s, at)
		}
		if s, at := h.Observe("local", "gone"); s.Name != "" || !at.Equal(when) {
			t.Errorf("a service that is not there: %+v at %s", s, at)
		}
		if u := h.Units(); len(u) != 1 || u[0].Unit != "local" || !u[0].Time.Equal(when) {
			t.Errorf("%+v", u)
		}
	})
}
