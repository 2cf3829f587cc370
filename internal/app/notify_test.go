package app

import (
	"context"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

type committing struct {
	Store
	err error
}

func (c committing) Commit(_ context.Context, w store.Write) ([]audit.Event, error) {
	return w.Events, c.err
}

func TestWhoIsToldOfAWrite(t *testing.T) {
	event := []audit.Event{{Time: time.Unix(0, 0), Type: "a.b", Actor: "x"}}
	for name, c := range map[string]struct {
		w              store.Write
		err            error
		news, declared bool
	}{
		"a service":            {store.Write{Puts: []store.Doc{{Kind: "Catalog"}, {Kind: "Service"}}, Events: event}, nil, true, true},
		"a plan that goes":     {store.Write{Deletes: []store.Doc{{Kind: "RingPlan"}}, Events: event}, nil, true, true},
		"a segment":            {store.Write{Puts: []store.Doc{{Kind: "Segment"}}, Events: event}, nil, true, true},
		"a rollout's step":     {store.Write{Puts: []store.Doc{{Kind: "Rollout"}, {Kind: "Live"}}, Events: event}, nil, true, false},
		"a write of no event":  {store.Write{Puts: []store.Doc{{Kind: "Desired"}}}, nil, false, false},
		"a write that is late": {store.Write{Puts: []store.Doc{{Kind: "Service"}}, Events: event}, errs.E(errs.Conflict, "late"), false, false},
	} {
		declared := false
		n := newNotifying(committing{err: c.err}, func() { declared = true }, func() {})
		changed := n.Changed()
		if _, err := n.Commit(t.Context(), c.w); err != c.err {
			t.Errorf("%s: %v", name, err)
		}
		news := false
		select {
		case <-changed:
			news = true
		default:
		}
		if news != c.news || declared != c.declared {
			t.Errorf("%s: told of news %v, of what is declared %v", name, news, declared)
		}
	}
}
