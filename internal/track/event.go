package track

import (
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/ringfence/ringfence/internal/errs"
)

// Limits on what comes from outside.
const (
	MaxEvents     = 5_000   // in a request of ours
	maxOTLPEvents = 20_000  // in one of OpenTelemetry's, whose collectors send larger batches
	maxTrackBody  = 4 << 20 // bytes of a request, and of what it unpacks to
	MaxBody       = 8 << 20 // of one of OpenTelemetry's
	MaxKey        = 512     // bytes of a targeting key
	maxName       = 256     // bytes of a flag, variant, metric or set
	maxID         = 256     // bytes of an event's id or an Idempotency-Key
	maxAttributes = 16      // of an event's context
	maxAttribute  = 256     // bytes of an attribute's name, and of its value
	maxAhead      = time.Hour
)

// Kind says what an event is.
type Kind byte

const (
	Exposure Kind = 1 // a user was given a variant of a flag
	Metric   Kind = 2 // a user did something
)

// Event is one exposure or one metric event.
type Event struct {
	Kind    Kind
	ID      string // counted once in its environment; empty: always counted
	Time    time.Time
	Key     string  // the targeting key
	Name    string  // of the flag or the metric
	Set     string  // of an exposure: the flag's set, when it was told
	Variant string  // of an exposure
	Value   float64 // of a metric
	Context string  // attributes, a JSON object in canonical form; empty: none
}

// wrong is what is wrong with one field of an event.
type wrong struct{ field, msg string }

func (w *wrong) Error() string { return w.field + ": " + w.msg }

func wrongf(field, format string, args ...any) *wrong {
	return &wrong{field: field, msg: fmt.Sprintf(format, args...)}
}

// check returns what is wrong with e, nil when nothing is. Its time must be between the two given.
func (e *Event) check(oldest, latest time.Time) *wrong {
	name := "flag"
	if e.Kind == Metric {
		name = "metric"
	}
	for _, f := range []struct {
		field, value string
		limit        int
		empty        bool
	}{{"targetingKey", e.Key, MaxKey, false}, {name, e.Name, maxName, false}, {"id", e.ID, maxID, true},
		{"variant", e.Variant, maxName, e.Kind == Metric}, {"set", e.Set, maxName, true}} {
		if w := checkText(f.field, f.value, f.limit, f.empty); w != nil {
			return w
		}
	}
	switch {
	case !finite(e.Value):
		return wrongf("value", "expected a finite number")
	case e.Time.Before(oldest):
		return wrongf("time", "%s is older than events are kept, expected %s or later", e.Time.UTC().Format(time.RFC3339), oldest.UTC().Format(time.RFC3339))
	case e.Time.After(latest):
		return wrongf("time", "%s is ahead of this server's clock by more than %s", e.Time.UTC().Format(time.RFC3339), maxAhead)
	}
	return nil
}

func checkText(field, value string, limit int, empty bool) *wrong {
	switch {
	case value == "" && !empty:
		return wrongf(field, "missing, expected 1 to %d bytes of text", limit)
	case len(value) > limit:
		return wrongf(field, "has %d bytes, expected at most %d", len(value), limit)
	case !utf8.ValidString(value):
		return wrongf(field, "is not UTF-8")
	}
	for i := range len(value) {
		if value[i] == 0 {
			return wrongf(field, "contains a zero byte")
		}
	}
	return nil
}

// Batch is what one request brings: taken whole or not at all.
type Batch struct {
	Environment string
	Key         string // names the batch: counted once in its environment; empty: always counted
	Print       uint64 // of its content, to tell a repeated batch from another one under the same key
	Events      []Event
}

// Taken says what became of a batch.
type Taken struct {
	Accepted   int `json:"accepted"`
	Duplicates int `json:"duplicates"`
}

func (b *Batch) check(oldest, latest time.Time) error {
	if w := checkText("environment", b.Environment, maxName, false); w != nil {
		return errs.E(errs.Invalid, "%s", w.Error())
	}
	if w := checkText("Idempotency-Key", b.Key, maxID, true); w != nil {
		return errs.E(errs.Invalid, "%s", w.Error())
	}
	if len(b.Events) > maxOTLPEvents {
		return errs.E(errs.Invalid, "%d events, expected at most %d", len(b.Events), maxOTLPEvents)
	}
	for i := range b.Events {
		if w := b.Events[i].check(oldest, latest); w != nil {
			return &refused{field: fmt.Sprintf("events[%d].%s", i, w.field), msg: w.msg}
		}
	}
	return nil
}

// refused is a batch that has a wrong event.
type refused struct{ field, msg string }

func (r *refused) Error() string { return r.field + ": " + r.msg }
func (r *refused) Unwrap() error { return errs.E(errs.Invalid, "nothing of the batch was taken") }

// finite reports whether a number is one.
func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
