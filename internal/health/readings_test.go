package health

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func value(v float64) Reading { return Reading{Value: &v} }

func numbers(all ...float64) (r []Reading) {
	for _, v := range all {
		r = append(r, value(v))
	}
	return r
}

func TestReadings(t *testing.T) {
	query, hook := Gate{Signal: SignalQuery, Max: ptr(0.05)}, Gate{Signal: SignalWebhook}
	between := Gate{Signal: SignalProbe, Min: ptr(1.0), Max: ptr(2.0), Failures: 1}
	no := Reading{}
	nan, inf := math.NaN(), math.Inf(1)
	pass, hold, fail := Reading{Verdict: Pass}, Reading{Verdict: Hold}, Reading{Verdict: Fail, Text: "orders lost"}
	for _, tc := range []struct {
		name     string
		gate     Gate
		readings []Reading
		want     Verdict
		stopped  *int
		noData   bool
		reason   string
	}{
		{"none", query, nil, Hold, nil, true, "There is no reading yet."},
		{"good", query, numbers(0.01), Pass, nil, false, "The query gave 0.01, within its limits."},
		{"on the limit", query, numbers(0.05), Pass, nil, false, "within its limits"},
		{"bad once", query, numbers(0.01, 0.06), Hold, nil, false, "The query gave 0.06, more than 0.05: 1 of the 3 bad readings"},
		{"bad and good again", query, numbers(0.1, 0.1, 0.01, 0.1, 0.1, 0.01), Pass, nil, false, "within"},
		{"bad three times", query, numbers(0.01, 0.1, 0.1, 0.1, 0.01), Fail, ptr(3), false, "more than 0.05 at reading 3, the last of 3 bad ones in a row."},
		{"a row with a gap", query, []Reading{value(1), no, value(1), {Value: &nan}, value(1)}, Fail, ptr(4), false, "in a row"},
		{"silent after bad", query, []Reading{value(1), value(1), no, no}, Hold, nil, true, "The query gave no data; before it, 2 of the 3"},
		{"silent after good", query, []Reading{value(0), {Value: &inf}}, Hold, nil, true, "The query gave no data."},
		{"no number", query, []Reading{{Value: &nan}}, Hold, nil, true, "no data"},
		{"data again", query, []Reading{no, no, value(0)}, Pass, nil, false, "within"},
		{"too small", between, numbers(1.5, 0.5), Fail, ptr(1), false, "The probe gave 0.5, less than 1 at reading 1."},
		{"at either end", between, numbers(1, 2), Pass, nil, false, "within"},
		{"the webhook passes", hook, []Reading{pass}, Pass, nil, false, "The webhook passed."},
		{"the webhook fails", hook, []Reading{pass, fail, pass}, Fail, ptr(1), false, "The webhook failed (orders lost) at reading 1."},
		{"the webhook cannot say", hook, []Reading{pass, hold}, Hold, nil, true, "The webhook gave no data."},
		{"the webhook says something else", hook, []Reading{{Verdict: "fine"}}, Hold, nil, true, "no data"},
		{"a value with nothing to judge it by", hook, numbers(7), Hold, nil, true, "no data"},
		{"a verdict goes before the value", query, []Reading{{Value: ptr(9.0), Verdict: Pass}}, Pass, nil, false, "The query passed."},
		{"a command's patience", Gate{Signal: SignalCommand, Failures: 2}, []Reading{fail, fail}, Fail, ptr(1), false, "The command failed (orders lost) at reading 1, the last of 2"},
		{"a wrong gate", Gate{Signal: SignalQuery}, numbers(1), Hold, nil, true, "Nothing can be judged"},
		{"a gate of another kind", Gate{}, numbers(1), Hold, nil, true, "errors is judged by counts of requests, not by readings"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := JudgeReadings(tc.gate, tc.readings)
			if j.Verdict != tc.want || !cmp.Equal(j.StoppedAt, tc.stopped) || j.NoData != tc.noData || len(j.Reasons) != 1 || !strings.Contains(j.Reasons[0], tc.reason) {
				t.Errorf("got %s at %v, no data %v: %q", j.Verdict, j.StoppedAt, j.NoData, j.Reasons)
			}
			mustJSON(t, j)
		})
	}
}

// What readings say is counted up to the stop, and what a stranger said is kept short.
func TestReadingsEvidence(t *testing.T) {
	r := NewReadings(Gate{Signal: SignalQuery, Max: ptr(1.0), Failures: 2})
	for _, one := range []Reading{value(0), {}, value(2), {Text: strings.Repeat("é", 1000)}} {
		r.Add(one)
	}
	ev := r.Judgement().Evidence.Readings
	if ev.Count != 4 || ev.NoData != 2 || ev.Bad != 1 || ev.InARow != 1 || *ev.Value != 2 || len([]rune(ev.Text)) != maxText+1 {
		t.Errorf("%+v", ev)
	}
	r.Add(value(2))
	stopped := r.Judgement()
	r.Add(value(0))
	after := r.Judgement()
	if after.Evidence.Readings.Count != 6 || stopped.Verdict != Fail || after.Verdict != Fail || *after.StoppedAt != 4 || *after.Evidence.Readings.Value != 2 {
		t.Errorf("%+v", after)
	}
}
