package store

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
)

func TestWriteLimits(t *testing.T) {
	body := json.RawMessage(`"` + strings.Repeat("x", MaxBody-2) + `"`)
	full := func(events int) Write {
		var w Write
		for range events {
			w.Events = append(w.Events, audit.Event{Time: time.Unix(0, 0), Type: "a", Actor: "b", Data: body})
		}
		return w
	}
	if err := full(MaxWrite / MaxBody).Check(); err != nil {
		t.Errorf("the largest write: %v", err)
	}
	if err := full(MaxWrite/MaxBody + 1).Check(); !errs.Is(err, errs.Invalid) {
		t.Errorf("a larger write: %v", err)
	}
	if err := (Write{Deletes: make([]Doc, MaxItems+1)}).Check(); !errs.Is(err, errs.Invalid) {
		t.Errorf("a longer write: %v", err)
	}
}

func TestErrorsNameTheCulprit(t *testing.T) {
	for want, w := range map[string]Write{
		"body of service/shop":          {Puts: []Doc{{Kind: "service", Name: "shop", Body: []byte("{")}}},
		"time of service/shop":          {Puts: []Doc{{Kind: "service", Name: "shop", Body: []byte("1"), Updated: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}}},
		"service/shop is named":         {Puts: []Doc{{Kind: "service", Name: "shop", Body: []byte("1")}}, Deletes: []Doc{{Kind: "service", Name: "shop", Rev: 1}}},
		"delete of service/shop":        {Deletes: []Doc{{Kind: "service", Name: "shop"}}},
		"data of event a.done":          {Events: []audit.Event{{Time: time.Unix(0, 0), Type: "a.done", Actor: "x", Data: []byte("{")}}},
		"actor of event a.done":         {Events: []audit.Event{{Time: time.Unix(0, 0), Type: "a.done"}}},
		"event a.done: expected a time": {Events: []audit.Event{{Type: "a.done", Actor: "x"}}},
	} {
		if err := w.Check(); !errs.Is(err, errs.Invalid) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, expected %q", err, want)
		}
	}
}

func TestLimitsAreFilledIn(t *testing.T) {
	p, err1 := Page{Kind: "k"}.Check()
	q, err2 := EventQuery{}.Check()
	if err1 != nil || err2 != nil || p.Limit != 1000 || q.Limit != 1000 {
		t.Errorf("%d, %v, %d, %v", p.Limit, err1, q.Limit, err2)
	}
	if p, err := (Page{Kind: "k", Limit: 7}).Check(); err != nil || p.Limit != 7 {
		t.Errorf("%d, %v", p.Limit, err)
	}
}
