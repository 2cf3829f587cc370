package incident

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// whyChange says what speaks for and against a change, in a sentence or two with numbers.
func (j *judge) whyChange(c Change, rel string, step Step, lead time.Duration, cand Candidate) string {
	var b strings.Builder
	what := "It happened"
	if step.Ring != "" {
		what = "It reached ring " + step.Ring
	}
	switch {
	case lead < 0:
		fmt.Fprintf(&b, "%s as %s, to within %s", what, j.beginning("the first bad event was seen", "it was noticed"), Span(-lead))
	default:
		fmt.Fprintf(&b, "%s %s before %s", what, Span(lead), j.beginning("the first bad event", "it was noticed; when it began is not seen in the requests"))
	}
	switch rel {
	case called:
		fmt.Fprintf(&b, "; %s calls %s", j.Service, c.Service)
	case caller:
		fmt.Fprintf(&b, "; %s calls %s", c.Service, j.Service)
	case unrelated:
		fmt.Fprintf(&b, "; %s and %s do not call each other", c.Service, j.Service)
	}
	if cand.Exposed != nil && rel != unrelated {
		b.WriteString("; " + j.whereWords(c, rel, cand))
	}
	if s, ok := j.symptom(c); ok {
		fmt.Fprintf(&b, "; an alert says of version %s: %s", s.Version, s.Text)
	}
	if c.Judged != "" {
		b.WriteString("; " + c.Judged)
	}
	if c.Pushed != "" {
		b.WriteString("; " + c.Pushed)
	}
	if j.tookAway(c) {
		fmt.Fprintf(&b, "; the last bad event was %s from when it was taken back", Span(j.End.Sub(c.Ended).Abs()))
	}
	return b.String() + "."
}

// beginning is how the onset is called: found in the data, or only when somebody noticed.
func (j *judge) beginning(found, noticed string) string {
	if j.Noticed {
		return noticed
	}
	return found
}

// whereWords compare what the change exposed with everything else.
func (j *judge) whereWords(c Change, rel string, cand Candidate) string {
	in, out := *cand.Exposed, *cand.Others
	of := ""
	if rel == called || rel == caller {
		of = " of " + c.Service
	}
	switch {
	case in.Requests == 0:
		return "no request" + of + " went to what it exposed, and " + ratio(out) + " of the others failed"
	case out.Requests == 0:
		return ratio(in) + of + " failed, and all of them had it"
	}
	return fmt.Sprintf("%s%s to what it exposed failed, %s of the others", ratio(in), of, ratio(out))
}

// ratio is a tally in words: 92 of 410 requests (22 %).
func ratio(t Tally) string {
	return fmt.Sprintf("%s of %s requests (%s)", Number(t.Bad), Number(t.Requests), Percent(t.Rate()))
}

func titleOf(s Signal) string {
	about := s.Subject
	switch s.Kind {
	case Dependency:
		return about + " does not work"
	case Customer:
		return "customer " + about + " alone is hurt"
	case Traffic:
		return "the requests stay away"
	case Crash:
		return strings.TrimSpace("an instance ends over and over " + about)
	case Memory:
		return strings.TrimSpace("an instance runs out of memory " + about)
	case Disk:
		return strings.TrimSpace("a disk is full " + about)
	case Certificate:
		return strings.TrimSpace("a certificate expires " + about)
	}
	return s.Text
}

func (j *judge) whySignal(s Signal, c Candidate) string {
	text := "An alert says so: " + s.Text
	if s.Counted {
		text = s.Text
	}
	if c.Exposed != nil && c.Others != nil {
		text += fmt.Sprintf("; %s of %s failed, %s of everyone else", ratio(*c.Exposed), s.Subject, ratio(*c.Others))
	}
	if s.Version != "" && c.Told == 0 {
		text += "; it is so for version " + s.Version + " alone, which a change brought"
	}
	return strings.TrimSuffix(text, ".") + "."
}

func (j *judge) whyDown(service string, fires bool, s split, known bool) string {
	var parts []string
	if known {
		normal := s.before.Rate()
		parts = append(parts, fmt.Sprintf("%s of %s failed since then, %s before", ratio(s.since), service, Percent(normal)))
	}
	if fires {
		parts = append(parts, "its own alerts fire")
	}
	return strings.TrimSuffix(upper(strings.Join(parts, "; ")), ".") + "."
}

func whyDrop(before, since Tally) string {
	return fmt.Sprintf("%s requests came since then, %s over the same time before (%s less).", Number(since.Requests), Number(before.Requests), Percent(1-since.Requests/before.Requests))
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// Number is a count with thousands set apart.
func Number(x float64) string {
	s := strconv.FormatFloat(x, 'f', 0, 64)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Percent is a share in percent, with as many digits as are worth it.
func Percent(x float64) string {
	x *= 100
	switch {
	case x == 0:
		return "0 %"
	case x < 0.1:
		return strconv.FormatFloat(x, 'g', 1, 64) + " %"
	case x < 10:
		return strconv.FormatFloat(x, 'f', 1, 64) + " %"
	}
	return strconv.FormatFloat(x, 'f', 0, 64) + " %"
}

// Odds is a share of the odds: nothing is certain.
func Odds(x float64) string {
	switch {
	case x > 0.99:
		return "> 99 %"
	case x < 0.001:
		return "< 0.1 %"
	}
	return Percent(x)
}

// Span is a duration in two units at most.
func Span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return strings.TrimSuffix(fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60), " 0 s")
	case d < 48*time.Hour:
		return strings.TrimSuffix(fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60), " 0 min")
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
