package audit

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var at = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("odd", 3600))

func TestNew(t *testing.T) {
	e, err := New(at, "rollout.started", "user:admin", "rollout/shop-1", map[string]int{"rings": 4})
	if err != nil || string(e.Data) != `{"rings":4}` || !e.Time.Equal(at.Truncate(time.Microsecond)) || e.Time.Location() != time.UTC {
		t.Fatalf("%+v, %v", e, err)
	}
	if e, err = New(at, "a", "b", "c", nil); err != nil || e.Data != nil {
		t.Fatalf("without data: %+v, %v", e, err)
	}
	if _, err = New(at, "a", "b", "c", math.NaN()); err == nil || !strings.Contains(err.Error(), "event a") {
		t.Fatalf("data that has no JSON: %v", err)
	}
}

// TestHashIsFixed: records that exist must verify for ever, so the hash of an event may never change. The
// expected one was computed by another program.
func TestHashIsFixed(t *testing.T) {
	e := Seal(0, Genesis, Event{Time: at, Type: "rollout.started", Actor: "user:admin", Subject: "rollout/shop-1", Data: json.RawMessage(`{"rings":4}`)})
	const want = "6f86059fce41973a8a20619fe0cbed9c7e5f410c5c616f99850e6f84bde96fce"
	if e.Seq != 1 || e.Prev != Genesis || e.Hash != want {
		t.Fatalf("event %d after %s has hash %s, expected %s", e.Seq, e.Prev, e.Hash, want)
	}
}

func chain(events ...Event) []Event {
	seq, prev := int64(0), Genesis
	for i, e := range events {
		events[i] = Seal(seq, prev, e)
		seq, prev = events[i].Seq, events[i].Hash
	}
	return events
}

func TestVerify(t *testing.T) {
	three := func() []Event { return chain(Event{Type: "a"}, Event{Type: "b"}, Event{Type: "c"}) }
	whole := three()
	for _, c := range []struct {
		name   string
		seq    int64
		prev   string
		events []Event
		want   string
	}{
		{"none", 0, Genesis, nil, ""},
		{"whole", 0, Genesis, whole, ""},
		{"from the middle", 1, whole[0].Hash, whole[1:], ""},
		{"from the wrong place", 0, Genesis, whole[1:], "event 2: expected number 1"},
		{"after another event", 1, whole[1].Hash, whole[1:], "event 2: does not continue event 1"},
		{"first dropped", 0, Genesis, whole[1:], "event 2: expected number 1"},
		{"middle dropped", 0, Genesis, []Event{whole[0], whole[2]}, "event 3: expected number 2"},
		{"swapped", 0, Genesis, []Event{whole[0], whole[2], whole[1]}, "event 3: expected number 2"},
		{"doubled", 0, Genesis, []Event{whole[0], whole[0]}, "event 1: expected number 2"},
		{"other genesis", 0, strings.Repeat("1", 64), whole, "event 1: does not continue event 0"},
	} {
		err := Verify(c.seq, c.prev, c.events)
		if c.want == "" && err != nil || c.want != "" && !strings.HasPrefix(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %v, expected %q", c.name, err, c.want)
		}
	}
}

var drawEvent = rapid.Custom(func(t *rapid.T) Event {
	return Event{
		Time:    time.UnixMicro(rapid.Int64().Draw(t, "time")).UTC(),
		Type:    rapid.String().Draw(t, "type"),
		Actor:   rapid.String().Draw(t, "actor"),
		Subject: rapid.String().Draw(t, "subject"),
		Data:    json.RawMessage(rapid.String().Draw(t, "data")),
	}
})

// changeField changes one field of e to something else.
func changeField(t *rapid.T, e *Event) {
	other := func(s string) string {
		return rapid.OneOf(rapid.String(), rapid.Just(s+"\x00"), rapid.Just(" "+s)).Filter(func(o string) bool { return o != s }).Draw(t, "other")
	}
	switch rapid.SampledFrom([]string{"seq", "time", "type", "actor", "subject", "data", "prev", "hash", "border"}).Draw(t, "field") {
	case "seq":
		e.Seq += rapid.Int64().Filter(func(n int64) bool { return n != 0 }).Draw(t, "by")
	case "time":
		e.Time = e.Time.Add(time.Duration(rapid.SampledFrom([]int64{-1e9, -1, 1, 1e6}).Draw(t, "by")) * time.Microsecond)
	case "type":
		e.Type = other(e.Type)
	case "actor":
		e.Actor = other(e.Actor)
	case "subject":
		e.Subject = other(e.Subject)
	case "data":
		e.Data = json.RawMessage(other(string(e.Data)))
	case "prev":
		e.Prev = other(e.Prev)
	case "hash":
		e.Hash = other(e.Hash)
	case "border": // the same characters, divided differently between two fields
		both := e.Actor + "x" + e.Subject
		cut := rapid.IntRange(0, len(both)).Filter(func(n int) bool { return n != len(e.Actor) }).Draw(t, "cut")
		e.Actor, e.Subject = both[:cut], both[cut:]
	}
}

// TestAnyChangeIsFound: whatever happens to one place of a whole record, Verify names that place.
func TestAnyChangeIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := chain(rapid.SliceOfN(drawEvent, 2, 8).Draw(t, "events")...)
		if err := Verify(0, Genesis, events); err != nil {
			t.Fatal(err)
		}
		i := rapid.IntRange(0, len(events)-2).Draw(t, "at")
		want := i
		switch rapid.SampledFrom([]string{"change", "reseal", "drop", "swap", "insert"}).Draw(t, "what") {
		case "change":
			changeField(t, &events[i])
		case "reseal": // a clever change: its own hash fits again, so the next event shows it
			e := events[i]
			e.Actor += "x"
			events[i] = Seal(int64(i), e.Prev, e)
			want = i + 1
		case "drop":
			events = slices.Delete(events, i, i+1)
		case "swap":
			events[i], events[i+1] = events[i+1], events[i]
		case "insert":
			events = slices.Insert(events, i, Seal(int64(i), events[i].Prev, drawEvent.Draw(t, "inserted")))
			want = i + 1
		}
		err := Verify(0, Genesis, events)
		if prefix := fmt.Sprintf("event %d: ", events[want].Seq); err == nil || !strings.HasPrefix(err.Error(), prefix) {
			t.Fatalf("got %v, expected %q", err, prefix)
		}
		if err := Verify(0, Genesis, events[:want]); err != nil {
			t.Fatalf("the events before it: %v", err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	e := Event{Time: at, Type: "rollout.checked", Actor: "system:controller", Subject: "rollout/shop-3", Data: json.RawMessage(`{"ring":"canary","e":1.25}`)}
	b.ReportAllocs()
	prev := Genesis
	for seq := int64(0); b.Loop(); seq++ {
		prev = Seal(seq, prev, e).Hash
	}
}

func BenchmarkVerify(b *testing.B) {
	events := make([]Event, 1000)
	for i := range events {
		events[i] = Event{Time: at, Type: "rollout.checked", Actor: "system:controller", Subject: "rollout/shop-3", Data: json.RawMessage(`{"ring":"canary","e":1.25}`)}
	}
	chain(events...)
	b.ReportAllocs()
	for b.Loop() {
		if err := Verify(0, Genesis, events); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}
