package api

import (
	"fmt"
	"testing"
	"time"
)

func TestCallersAreLimitedEachOnTheirOwn(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := newLimits()
	for i := range callerBurst {
		if p := l.take("a", now); p != nil {
			t.Fatalf("request %d: %v", i, p)
		}
	}
	p := l.take("a", now)
	if p == nil || p.Status != 429 || p.headers.Get("Retry-After") != "1" {
		t.Fatalf("one too many: %+v", p)
	}
	if p := l.take("b", now); p != nil {
		t.Errorf("another caller: %v", p)
	}
	allowed := 0
	for range 1000 {
		if l.take("a", now.Add(time.Second)) == nil {
			allowed++
		}
	}
	if allowed != callerRate {
		t.Errorf("a second later %d were allowed, expected %d", allowed, callerRate)
	}
	if p := l.take("a", now.Add(-time.Hour)); p == nil {
		t.Error("a clock that goes back gives requests away")
	}
}

func TestCallersAreForgotten(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := newLimits()
	for i := range 3 * maxCallers {
		l.take(fmt.Sprint(i), now.Add(time.Duration(i)*time.Millisecond))
		if len(l.by) > maxCallers {
			t.Fatalf("%d callers are known", len(l.by))
		}
	}
}
