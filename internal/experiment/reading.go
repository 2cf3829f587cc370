package experiment

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Decision is what to do about an experiment or one of its treatments.
type Decision string

// The decisions.
const (
	Ship        Decision = "ship"         // it is better, and nothing that is guarded is harmed
	Stop        Decision = "stop"         // it is worse, harms what is guarded, or showed nothing in the time it had
	KeepRunning Decision = "keep running" // there is not enough evidence yet
	Broken      Decision = "broken"       // the numbers cannot be trusted, whatever they say
)

// Reading is a decision and why, in a sentence.
type Reading struct {
	Variant  string   `json:"variant,omitempty"` // the treatment that it is about
	Decision Decision `json:"decision"`
	Why      string   `json:"why"`
}

func (r Reading) String() string { return string(r.Decision) + ": " + r.Why }

// read gives every treatment a reading and joins them.
func (r *Report) read(spec Spec, data Data) {
	why := r.broken(spec, data)
	for i, v := range spec.Variants[1:] {
		one := Reading{Variant: v.Name, Decision: Broken, Why: why}
		if why == "" {
			one.Decision, one.Why = r.treatment(spec, i, min(data.Users[0], data.Users[i+1]))
		}
		r.Treatments = append(r.Treatments, one)
	}
	r.Reading = r.joined(spec)
}

// broken says why no number can be trusted, if so.
func (r *Report) broken(spec Spec, data Data) string {
	if r.Mismatch.Broken {
		var seen, meant []string
		for i, share := range spec.weights() {
			seen = append(seen, strconv.FormatInt(data.Users[i], 10))
			meant = append(meant, figure(100*share)+" %")
		}
		return fmt.Sprintf("users landed %s where %s were meant (p %s, below %g): what differs may be the users",
			strings.Join(seen, " / "), strings.Join(meant, " / "), figure(r.Mismatch.PValue), MismatchAt)
	}
	if r.Multiple.Broken {
		return fmt.Sprintf("%d users, %s %%, were seen in more than one variant (at most %g %% may be): what differs may be less than it is",
			r.Multiple.Users, figure(100*r.Multiple.Share), 100*MultipleAt)
	}
	return ""
}

// treatment reads one treatment. Harm comes first, then whether it may be read at all, then the primary metric.
func (r *Report) treatment(spec Spec, i int, fewest int64) (Decision, string) {
	var missing []string // what keeps it from being shipped
	for _, m := range r.Metrics {
		if m.Role != Guardrail {
			continue
		}
		c := m.Treatments[i]
		switch {
		case c.State == Harmed:
			return Stop, fmt.Sprintf("%s is harmed: %s%s", m.Name, m.Difference.describe(c), tolerance(m.Metric))
		case c.State == Unknown:
			missing = append(missing, fmt.Sprintf("the guardrail %s cannot be judged: %s", m.Name, c.Problem))
		case c.State == Open && m.Margin > 0:
			missing = append(missing, fmt.Sprintf("the guardrail %s is not shown to be within its margin of %s: %s", m.Name, m.Difference.amount(m.Margin, false), m.Difference.describe(c)))
		}
	}
	primary := r.Metrics[0]
	c, d := primary.Treatments[i], primary.Difference
	switch {
	case fewest < spec.Minimum:
		return KeepRunning, fmt.Sprintf("too few users: %d in the smaller variant, a reading needs %d", fewest, spec.Minimum)
	case c.State == Unknown:
		return KeepRunning, fmt.Sprintf("%s cannot be judged: %s", primary.Name, c.Problem)
	case spec.Method == Welch && spec.Planned > 0 && r.Progress.Share < 1:
		return KeepRunning, fmt.Sprintf("%s %% of the planned users were seen, and a fixed-horizon test is read once, at its end", figure(100*r.Progress.Share))
	case c.State == Worse:
		return Stop, fmt.Sprintf("%s is worse: %s", primary.Name, d.describe(c))
	case c.State == Better && len(missing) == 0:
		return Ship, fmt.Sprintf("%s is better: %s", primary.Name, d.describe(c))
	case c.State == Better:
		return KeepRunning, fmt.Sprintf("%s is better, %s, but %s", primary.Name, d.describe(c), strings.Join(missing, "; "))
	case spec.Planned > 0 && r.Progress.Share >= 1:
		return Stop, fmt.Sprintf("all %d planned users were seen and %s shows no difference that could not be chance: %s", spec.Planned, primary.Name, d.describe(c))
	}
	if c.CI != nil && !within(*c.CI, 0) && c.Chance == nil {
		return KeepRunning, fmt.Sprintf("%s looks different, but too little was seen for it not to be chance: %s%s", primary.Name, d.describe(c), r.progress())
	}
	return KeepRunning, fmt.Sprintf("%s may differ either way: %s%s", primary.Name, d.describe(c), r.progress())
}

// joined is the reading of all treatments: the best that may be shipped, or what is left to do.
func (r *Report) joined(spec Spec) Reading {
	if len(r.Treatments) == 1 || r.Treatments[0].Decision == Broken {
		return r.Treatments[0]
	}
	best, stopped := -1, 0
	for i, t := range r.Treatments {
		gain := func(i int) float64 { return *r.Metrics[0].Treatments[i].Effect * spec.Primary.Direction.sign() }
		switch t.Decision {
		case Ship:
			if best < 0 || gain(i) > gain(best) {
				best = i
			}
		case Stop:
			stopped++
		}
	}
	var whys []string
	for i, t := range r.Treatments {
		if i == best {
			continue
		}
		whys = append(whys, fmt.Sprintf("%s: %s, %s", t.Variant, t.Decision, t.Why))
	}
	switch {
	case best >= 0:
		return Reading{Variant: r.Treatments[best].Variant, Decision: Ship, Why: fmt.Sprintf("%s: %s (%s)", r.Treatments[best].Variant, r.Treatments[best].Why, strings.Join(whys, "; "))}
	case stopped == len(r.Treatments):
		return Reading{Decision: Stop, Why: strings.Join(whys, "; ")}
	}
	return Reading{Decision: KeepRunning, Why: strings.Join(whys, "; ")}
}

func (r *Report) progress() string {
	if r.Progress.Planned == 0 {
		return ""
	}
	return fmt.Sprintf("; %s %% of the planned users were seen", figure(100*r.Progress.Share))
}

func tolerance(m Metric) string {
	if m.Margin == 0 {
		return ""
	}
	return fmt.Sprintf(", and up to %s would be tolerated", m.Difference.amount(m.Margin, false))
}

// describe is an effect with its interval and evidence, for a person.
func (d Difference) describe(c Comparison) string {
	if c.Effect == nil {
		return c.Problem
	}
	text := fmt.Sprintf("%s (%s to %s)", d.amount(*c.Effect, true), d.amount(c.CI[0], true), d.amount(c.CI[1], true))
	switch {
	case c.Chance != nil:
		text += fmt.Sprintf(", better with a chance of %s %%", figure(100**c.Chance))
	case c.Adjusted != nil:
		text += fmt.Sprintf(", adjusted %s", chance(*c.Adjusted))
	case c.PValue != nil:
		text += ", " + chance(*c.PValue)
	}
	return text
}

// Text is a difference with its sign, as readings have it.
func (d Difference) Text(x float64) string { return d.amount(x, true) }

// amount is a difference: in percent when it is relative.
func (d Difference) amount(x float64, signed bool) string {
	unit := ""
	if d == Relative {
		x, unit = 100*x, " %"
	}
	text := figure(x)
	if signed && x > 0 && text != "0" {
		text = "+" + text
	}
	return text + unit
}

func chance(p float64) string {
	if p < 0.0001 {
		return "p below 0.0001"
	}
	return "p " + figure(p)
}

// figure is a number with three digits that count, and no more zeros than needed.
func figure(x float64) string {
	if math.IsInf(x, 0) {
		return map[bool]string{true: "-∞", false: "∞"}[x < 0]
	}
	if size := math.Abs(x); size >= 1000 && size < 1e15 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}
