package audit

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func badSeq(err error) int64 {
	var b *Bad
	if errors.As(err, &b) {
		return b.Seq
	}
	return 0
}

func check(events []Event) (*Chain, error) {
	c := &Chain{}
	for _, e := range events {
		if err := c.Add(e); err != nil {
			return c, err
		}
	}
	return c, c.End()
}

func TestChainFindsTheFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := chain(rapid.SliceOfN(drawEvent.Filter(func(e Event) bool { return e.Type != "" }), 2, 8).Draw(t, "events")...)
		if _, err := check(events); err != nil {
			t.Fatal(err)
		}
		i := rapid.IntRange(0, len(events)-1).Draw(t, "at")
		changeField(t, &events[i])
		// A changed number is missed where it belongs.
		if _, err := check(events); badSeq(err) != int64(i+1) {
			t.Fatalf("event %d was changed: %v", i+1, err)
		}
	})
}

func TestChainWithRemovedContent(t *testing.T) {
	said := func(through int64) Event {
		e, err := New(at, EventPruned, "system:record", "record/events", Pruned{Through: through, Before: at})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	make9 := func() []Event {
		return chain(Event{Type: "a"}, Event{Type: "b"}, Event{Type: "c"}, Event{Type: "d"}, said(2), Event{Type: "e"}, said(9))
	}
	strip := func(events []Event, at ...int) []Event {
		for _, i := range at {
			events[i-1] = events[i-1].Stripped()
		}
		return events
	}
	for _, c := range []struct {
		name   string
		events []Event
		bad    int64
		ranges int
	}{
		{"whole", make9(), 0, 0},
		{"as said", strip(make9(), 1, 2), 0, 1},
		{"one of two", strip(make9(), 2), 0, 1},
		{"one too many", strip(make9(), 1, 2, 3), 3, 1},
		{"another one", strip(make9(), 1, 2, 4), 4, 2},
		{"what says so", strip(make9(), 1, 5), 1, 2},
	} {
		got, err := check(c.events)
		if badSeq(err) != c.bad || err == nil && len(got.Removed()) != c.ranges {
			t.Errorf("%s: %v, removed %v", c.name, err, got.Removed())
		}
	}
	half := make9()
	half[0] = half[0].Stripped()
	half[0].Time = time.Now()
	if _, err := check(half); badSeq(err) != 1 {
		t.Errorf("a time without content: %v", err)
	}
}
