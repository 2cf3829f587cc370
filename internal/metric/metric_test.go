package metric

import (
	"testing"
	"time"
)

func TestString(t *testing.T) {
	s := New("up", time.Unix(1, 0), 1, "job", "a", "b", "c", "odd")
	if got := s.String(); got != `up{b="c", job="a"}` {
		t.Error(got)
	}
	if got := New("up", time.Time{}, 1).String(); got != "up{}" {
		t.Error(got)
	}
}
