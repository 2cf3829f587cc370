package track

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// wireEvent is an event as clients write it.
type wireEvent struct {
	Type    string                     `json:"type"`
	ID      string                     `json:"id"`
	Time    string                     `json:"time"`
	Key     string                     `json:"targetingKey"`
	Flag    string                     `json:"flag"`
	Set     string                     `json:"set"`
	Variant string                     `json:"variant"`
	Metric  string                     `json:"metric"`
	Value   *float64                   `json:"value"`
	Context map[string]json.RawMessage `json:"context"`
}

// parseTrack reads the body of POST /v1/track. An event without a time is of now.
func parseTrack(body []byte, now time.Time) ([]Event, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := opening(d, '{', "a JSON object with events"); err != nil {
		return nil, err
	}
	var events []Event
	seen := false
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, malformed(err)
		}
		if name != "events" || seen {
			return nil, &refused{fmt.Sprint(name), "unknown or repeated field, expected events only"}
		}
		seen = true
		if events, err = parseEvents(d, now); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, malformed(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errs.E(errs.Invalid, "expected nothing after the JSON object")
	}
	if !seen {
		return nil, &refused{"events", "missing, expected a list"}
	}
	return events, nil
}

func opening(d *json.Decoder, want json.Delim, what string) error {
	t, err := d.Token()
	if err != nil {
		return malformed(err)
	}
	if t != want {
		return errs.E(errs.Invalid, "expected %s", what)
	}
	return nil
}

func malformed(err error) error {
	return errs.Wrap(errs.Invalid, err, "the body is not JSON as expected")
}

func parseEvents(d *json.Decoder, now time.Time) ([]Event, error) {
	if err := opening(d, '[', "events to be a list"); err != nil {
		return nil, err
	}
	var events []Event
	var w wireEvent
	for i := 0; d.More(); i++ {
		if i == MaxEvents {
			return nil, &refused{"events", fmt.Sprintf("expected at most %d", MaxEvents)}
		}
		w = wireEvent{}
		if err := d.Decode(&w); err != nil {
			return nil, wrongJSON(i, err)
		}
		e, wrong := w.event(now)
		if wrong != nil {
			return nil, &refused{fmt.Sprintf("events[%d].%s", i, wrong.field), wrong.msg}
		}
		events = append(events, e)
	}
	_, err := d.Token()
	if err != nil {
		return nil, malformed(err)
	}
	return events, nil
}

// wrongJSON names the event and, where the decoder knows it, the field.
func wrongJSON(i int, err error) error {
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		field := fmt.Sprintf("events[%d]", i)
		if typ.Field != "" {
			field += "." + typ.Field
		}
		expected := map[string]string{"*float64": "a number", "float64": "a number", "string": "text", "track.wireEvent": "an object"}[typ.Type.String()]
		if expected == "" {
			expected = "an object of attributes"
		}
		return &refused{field, fmt.Sprintf("is %s, expected %s", typ.Value, expected)}
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return &refused{fmt.Sprintf("events[%d].%s", i, strings.Trim(name, `"`)), "unknown field"}
	}
	return malformed(err)
}

func (w *wireEvent) event(now time.Time) (Event, *wrong) {
	e := Event{ID: w.ID, Time: now, Key: w.Key, Name: w.Flag, Set: w.Set, Variant: w.Variant}
	misplaced := ""
	switch w.Type {
	case "exposure":
		e.Kind = Exposure
		if w.Metric != "" {
			misplaced = "metric"
		} else if w.Value != nil {
			misplaced = "value"
		}
	case "metric":
		e.Kind, e.Name, e.Value = Metric, w.Metric, 1
		if w.Value != nil {
			e.Value = *w.Value
		}
		for _, f := range [][2]string{{"flag", w.Flag}, {"variant", w.Variant}, {"set", w.Set}} {
			if f[1] != "" {
				misplaced = f[0]
			}
		}
	default:
		return e, wrongf("type", "is %.20q, expected exposure or metric", w.Type)
	}
	if misplaced != "" {
		return e, wrongf(misplaced, "is not for events of type %s", w.Type)
	}
	if w.Time != "" {
		t, err := time.Parse(time.RFC3339Nano, w.Time)
		if err != nil || t.Year() < 1 {
			return e, wrongf("time", "is %.40q, expected one as 2026-01-31T12:00:00Z", w.Time)
		}
		e.Time = t
	}
	var bad *wrong
	e.Context, bad = canonical(w.Context)
	return e, bad
}

// canonical writes attributes down in one way, the empty text for none.
func canonical(attributes map[string]json.RawMessage) (string, *wrong) {
	if len(attributes) == 0 {
		return "", nil
	}
	if len(attributes) > maxAttributes {
		return "", wrongf("context", "has %d attributes, expected at most %d", len(attributes), maxAttributes)
	}
	for name, raw := range attributes {
		if w := checkText("context", name, maxAttribute, false); w != nil {
			return "", wrongf("context", "an attribute's name %s", w.msg)
		}
		if len(raw) > maxAttribute {
			return "", wrongf("context."+name, "has %d bytes, expected at most %d", len(raw), maxAttribute)
		}
		if c := raw[0]; c == '{' || c == '[' || c == 'n' {
			return "", wrongf("context."+name, "expected text, a number or a boolean")
		}
	}
	b, err := json.Marshal(attributes) // in order of names
	if err != nil {
		return "", wrongf("context", "cannot be written down")
	}
	return string(b), nil
}
