package track

import (
	"fmt"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/experiment"
)

// Of says what a user's events come to.
type Of string

const (
	Sum   Of = "sum"   // of the values; the default
	Count Of = "count" // of the events
	Last  Of = "last"  // value
)

// Measure is what is measured of each user, in the time after the first exposure.
type Measure struct {
	Kind          experiment.Kind
	Event         string // the metric's name
	Of            Of     // of a proportion it is whether there was any event
	Denominator   string // of a ratio: the metric under the line
	DenominatorOf Of
	Quantile      float64           // of a quantile: which
	Window        time.Duration     // after the exposure in which events count; 0: to the end
	Complete      bool              // only users whose window has passed
	Cap           float64           // a user's value above it is taken for it; 0: none
	Winsorize     float64           // the cap is this quantile of all users' values, such as 0.99; 0: none
	Before        time.Duration     // of a covariate: the same measure over so long before the exposure; 0: none
	Where         map[string]string // attributes that an event must have
}

// Query asks what the users did who were exposed to a flag in a time: since belongs to it, until does not.
type Query struct {
	Environment, Flag string
	Since, Until      time.Time
	Measure           Measure           // without an Event users are counted only
	Where             map[string]string // attributes that the first exposure must have
	Take              Take              // nil: everyone
	Step              time.Duration     // between the points of the series, in whole multiples since 1970; 0: no series
}

// Take says by a user's targeting key and the attributes of the first exposure whether the user counts.
type Take func(user string, attributes map[string]any) bool

// Result is what the users did. Users who were given several variants are in Several and nowhere else.
type Result struct {
	Since, Until time.Time // Since is later than asked for when older events are no longer kept
	Variants     []experiment.Summary
	Exposed      map[string]int64 // users by variant, whatever is measured of them: for a sample-ratio mismatch
	Several      int64
	Cap          float64 // that Winsorize came to
	Series       []Point
}

// Point is what would have been read at a time.
type Point struct {
	At       time.Time
	Variants []experiment.Summary
}

const (
	maxPoints = 2_000
	maxPeriod = 10 * 365 * 24 * time.Hour
)

func (q *Query) check() error {
	invalid := func(format string, args ...any) error { return errs.E(errs.Invalid, format, args...) }
	if w := checkText("environment", q.Environment, maxName, false); w != nil {
		return invalid("%s", w.Error())
	}
	if w := checkText("flag", q.Flag, maxName, false); w != nil {
		return invalid("%s", w.Error())
	}
	if d := q.Until.Sub(q.Since); d <= 0 || d > maxPeriod {
		return invalid("from %s until %s: expected an end after the beginning, within ten years", q.Since.Format(time.RFC3339), q.Until.Format(time.RFC3339))
	}
	if q.Step < 0 || q.Step > 0 && (q.Step < time.Minute || q.Until.Sub(q.Since)/q.Step > maxPoints) {
		return invalid("step %s: expected a minute or more, and at most %d points", q.Step, maxPoints)
	}
	if q.Measure.Event == "" {
		if q.Measure.Kind != "" {
			return invalid("measure: no event is named")
		}
		return nil
	}
	if err := q.Measure.check(); err != nil {
		return invalid("measure: %s", err.Error())
	}
	return nil
}

func (m *Measure) check() error {
	ratio, quantile := m.Kind == experiment.Ratio, m.Kind == experiment.Quantile
	switch m.Kind {
	case experiment.Proportion, experiment.Mean, experiment.Ratio, experiment.Quantile:
	default:
		return fmt.Errorf("kind %q: expected proportion, mean, ratio or quantile", m.Kind)
	}
	for _, of := range []Of{m.Of, m.DenominatorOf} {
		if of != "" && of != Sum && of != Count && of != Last {
			return fmt.Errorf("of %q: expected sum, count or last", of)
		}
	}
	switch {
	case ratio != (m.Denominator != ""):
		return fmt.Errorf("a ratio, and nothing else, has a denominator")
	case quantile != (m.Quantile != 0), m.Quantile < 0, m.Quantile >= 1:
		return fmt.Errorf("quantile %v: expected one between 0 and 1, for kind quantile only", m.Quantile)
	case m.Window < 0 || m.Before < 0 || m.Window > maxPeriod || m.Before > maxPeriod:
		return fmt.Errorf("window and time before: expected between 0 and ten years")
	case m.Complete && m.Window == 0:
		return fmt.Errorf("only whose window has passed: expected a window")
	case m.Cap < 0 || m.Winsorize < 0 || m.Winsorize >= 1 || m.Cap > 0 && m.Winsorize > 0:
		return fmt.Errorf("expected a cap above 0 or a quantile between 0 and 1 to cap at, not both")
	case (m.Cap > 0 || m.Winsorize > 0) && (m.Kind == experiment.Proportion || quantile):
		return fmt.Errorf("a %s has no cap", m.Kind)
	case m.Before > 0 && quantile:
		return fmt.Errorf("a quantile has no covariate")
	}
	return nil
}
