package ui

import (
	"fmt"
	"math"
	"strconv"

	"github.com/ringfence/ringfence/internal/experiment"
)

// effectView is one treatment beside the control in one metric, as text and as an interval on a line with its zero in the middle.
type effectView struct {
	experiment.Comparison
	Paint          string
	Tone           string
	Word           string
	Was, Is        string // the metric itself, in control and treatment
	Effect         string
	Between        string
	Sure           string // how sure that is
	Known          bool
	X, Width, At   float64 // of the interval and the estimate, on a line of forestWidth; At is 0 beyond it
	CutLow, CutTop bool    // it goes on beyond the line
	Margin         float64 // where harm begins; 0 for nowhere
	Title          string
}

const forestWidth = 240.0

// forestScale is how long effects are drawn: from the zero in the middle to the edge.
type forestScale map[experiment.Difference]float64

// forestOf is one scale for all metrics of a kind of difference. What the primary metrics leave far behind is cut at the edge.
func forestOf(metrics []experiment.MetricReport) forestScale {
	most, primary := forestScale{}, forestScale{}
	for _, m := range metrics {
		for _, c := range m.Treatments {
			if c.Effect == nil || c.CI == nil {
				continue
			}
			reach := math.Abs(*c.Effect)
			for _, x := range c.CI {
				if !math.IsInf(x, 0) {
					reach = max(reach, math.Abs(x))
				}
			}
			reach = max(reach, m.Margin)
			most[m.Difference] = max(most[m.Difference], reach)
			if m.Role == experiment.Primary {
				primary[m.Difference] = max(primary[m.Difference], reach)
			}
		}
	}
	for d, x := range most {
		if p := primary[d]; p > 0 {
			x = min(x, 3*p)
		}
		most[d] = 1.12 * x
	}
	return most
}

// at is where an effect lies; it may be beyond the line.
func (s forestScale) at(d experiment.Difference, x float64) float64 {
	half := forestWidth / 2
	if s[d] == 0 {
		return half
	}
	return half + half*x/s[d]
}

// stub is as much as is drawn of an interval that lies beyond the line as a whole.
const stub = 26.0

// lie puts the interval on the line, cut where it goes on.
func (e *effectView) lie(from, at, to float64) {
	e.CutLow, e.CutTop = from < 0, to > forestWidth
	e.X = min(forestWidth-stub, max(0, from))
	e.Width = max(2, min(forestWidth, max(stub, to))-e.X)
	if to <= forestWidth && from >= 0 {
		e.X, e.Width = from, max(2, to-from)
	}
	if at > 0 && at < forestWidth {
		e.At = at
	}
}

// effectsOf draws one metric's treatments; paint names their colours.
func effectsOf(m experiment.MetricReport, paint func(variant string) string, scale forestScale) []effectView {
	var all []effectView
	for _, c := range m.Treatments {
		e := effectView{Comparison: c, Paint: paint(c.Variant), Was: metricValue(m, c.Control), Is: metricValue(m, c.Value)}
		e.Tone, e.Word = stateWord(c.State)
		if c.Effect == nil || c.CI == nil {
			e.Effect, e.Title = "–", sentenceCase(c.Problem)
			all = append(all, e)
			continue
		}
		e.Known = true
		e.Effect, e.Between = m.Difference.Text(*c.Effect), m.Difference.Text(c.CI[0])+" to "+m.Difference.Text(c.CI[1])
		if m.Role != experiment.Guardrail || c.State == experiment.Harmed { // a guardrail's is the one of harm
			e.Sure = sureOf(c)
		}
		e.lie(scale.at(m.Difference, c.CI[0]), scale.at(m.Difference, *c.Effect), scale.at(m.Difference, c.CI[1]))
		if m.Role == experiment.Guardrail && m.Margin > 0 {
			harm := -m.Margin
			if m.Direction == experiment.Decrease {
				harm = m.Margin
			}
			if at := scale.at(m.Difference, harm); at > 0 && at < forestWidth {
				e.Margin = at
			}
		}
		e.Title = fmt.Sprintf("%s of %s: %s, from %s", m.Name, c.Variant, e.Effect, e.Between)
		all = append(all, e)
	}
	return all
}

func stateWord(s experiment.State) (tone, word string) {
	switch s {
	case experiment.Better, experiment.Safe:
		return "pass", string(s)
	case experiment.Worse, experiment.Harmed:
		return "fail", string(s)
	case experiment.Unknown:
		return "gone", "no estimate"
	}
	return "calm", string(s)
}

// sureOf says how sure an effect is.
func sureOf(c experiment.Comparison) string {
	p := func(name string, x float64) string {
		if x < 0.0001 {
			return name + " < 0.0001"
		}
		return name + " " + strconv.FormatFloat(x, 'g', 2, 64)
	}
	switch {
	case c.Chance != nil:
		return "better with a chance of " + percent(*c.Chance)
	case c.Adjusted != nil:
		return p("adjusted p", *c.Adjusted)
	case c.PValue != nil:
		return p("p", *c.PValue)
	}
	return ""
}

// metricValue is a metric as people read it: a share in percent, all else as a number.
func metricValue(m experiment.MetricReport, x *float64) string {
	switch {
	case x == nil:
		return "–"
	case m.Kind == experiment.Proportion:
		return percent(*x)
	case math.Abs(*x) >= 1000:
		return count(int64(math.Round(*x)))
	}
	return strconv.FormatFloat(*x, 'g', 4, 64)
}
