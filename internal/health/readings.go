package health

import (
	"fmt"
	"math"
)

// maxText is how much of what somebody outside said is kept.
const maxText = 500

// Readings is the judgement of a gate that asks something outside, reading by reading: a query with limits, a webhook, a
// command, a probe. It fails at the first Failures bad readings in a row. A reading without data neither adds to a
// row nor breaks it: who cannot be asked has not said that all is well. It is made by NewReadings.
type Readings struct {
	gate    Gate
	refused string
	stopped *int
	last    Reading
	noData  bool // the last reading was without data, or there is none
	says    ReadingsEvidence
}

// NewReadings starts a judgement. A gate that is wrong gives one that holds and says why.
func NewReadings(gate Gate) *Readings {
	err := validateAs(byReadings, gate)
	if err != nil {
		return &Readings{gate: Defaults(Gate{}), refused: err.Error(), noData: true}
	}
	return &Readings{gate: Defaults(gate), noData: true}
}

// JudgeReadings judges readings offline, as Readings do that are given one after the other.
func JudgeReadings(gate Gate, readings []Reading) Judgement {
	r := NewReadings(gate)
	for _, one := range readings {
		r.Add(one)
	}
	return r.Judgement()
}

// Add takes the next reading. After a fail readings are counted, so that indexes stay right, but change nothing else.
func (r *Readings) Add(next Reading) {
	at := r.says.Count
	r.says.Count++
	if r.stopped != nil || r.refused != "" {
		return
	}
	if v := next.Value; v != nil && (math.IsNaN(*v) || math.IsInf(*v, 0)) {
		next.Value = nil
	}
	r.last = next
	verdict := r.gate.judge(next)
	r.noData = verdict == Hold
	switch verdict {
	case Hold:
		r.says.NoData++
	case Pass:
		r.says.InARow = 0
	case Fail:
		r.says.Bad++
		r.says.InARow++
		if r.says.InARow >= r.gate.Failures {
			r.stopped = stop(at)
		}
	}
	if next.Value != nil {
		v := *next.Value
		r.says.Value = &v
	}
	r.says.Text = clip(next.Text)
}

// judge says what one reading means, hold for nothing.
func (g Gate) judge(r Reading) Verdict {
	switch {
	case r.Verdict == Pass || r.Verdict == Fail:
		return r.Verdict
	case r.Verdict != "" || r.Value == nil || g.Max == nil && g.Min == nil: // what cannot be judged is no answer
		return Hold
	case g.Max != nil && *r.Value > *g.Max || g.Min != nil && *r.Value < *g.Min:
		return Fail
	}
	return Pass
}

func clip(s string) string {
	if runes := []rune(s); len(runes) > maxText {
		return string(runes[:maxText]) + "…"
	}
	return s
}

// Judgement says what the readings so far mean. Evidence of harm is their number, not a chance: E stays 1.
func (r *Readings) Judgement() Judgement {
	says := r.says
	j := Judgement{Gate: r.gate, Evidence: Evidence{E: 1, LimitE: 1, MismatchE: 1, PValue: 1, Threshold: 1 / r.gate.Alpha, Readings: &says}}
	if r.stopped != nil {
		j.StoppedAt = stop(*r.stopped)
	}
	if r.refused != "" {
		j.Verdict, j.NoData, j.Reasons = Hold, true, []string{"Nothing can be judged: " + r.refused + "."}
		return j
	}
	var reason string
	j.Verdict, reason = r.verdict()
	j.NoData = j.Verdict == Hold && r.noData
	j.Reasons = []string{reason}
	return j
}

func (r *Readings) verdict() (Verdict, string) {
	said, n := r.said(), r.says.InARow
	switch {
	case r.stopped != nil && r.gate.Failures == 1:
		return Fail, fmt.Sprintf("%s at reading %d.", said, *r.stopped)
	case r.stopped != nil:
		return Fail, fmt.Sprintf("%s at reading %d, the last of %d bad ones in a row.", said, *r.stopped, n)
	case r.says.Count == 0:
		return Hold, "There is no reading yet."
	case r.noData && n > 0:
		return Hold, fmt.Sprintf("%s; before it, %d of the %d bad readings in a row that fail.", said, n, r.gate.Failures)
	case r.noData:
		return Hold, said + "."
	case n > 0:
		return Hold, fmt.Sprintf("%s: %d of the %d bad readings in a row that fail.", said, n, r.gate.Failures)
	}
	return Pass, said + "."
}

// said is the last reading in words.
func (r *Readings) said() string {
	who := map[string]string{SignalQuery: "The query", SignalWebhook: "The webhook", SignalCommand: "The command", SignalProbe: "The probe", SignalAlerts: "The service's alerts"}[r.gate.Signal]
	var what string
	switch v, judged := r.last.Value, r.gate.judge(r.last); {
	case judged == Hold:
		what = "gave no data"
	case r.last.Verdict != "":
		what = map[Verdict]string{Pass: "passed", Fail: "failed"}[judged]
	case r.gate.Max != nil && *v > *r.gate.Max:
		what = fmt.Sprintf("gave %s, more than %s", number(*v), number(*r.gate.Max))
	case r.gate.Min != nil && *v < *r.gate.Min:
		what = fmt.Sprintf("gave %s, less than %s", number(*v), number(*r.gate.Min))
	default:
		what = fmt.Sprintf("gave %s, within its limits", number(*v))
	}
	if r.last.Text != "" {
		what += " (" + clip(r.last.Text) + ")"
	}
	return who + " " + what
}
