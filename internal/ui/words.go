package ui

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ringfence/ringfence/internal/resource"
)

// clip keeps s short, at the end of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// sentenceCase makes a message a sentence.
func sentenceCase(s string) string {
	if s == "" {
		return ""
	}
	first, _, _ := strings.Cut(s, " ")
	if r, n := utf8.DecodeRuneInString(s); !strings.ContainsAny(first, "0123456789") { // a version stays as it is written
		s = string(unicode.ToUpper(r)) + s[n:]
	}
	if !strings.ContainsAny(s[len(s)-1:], ".!?…") {
		s += "."
	}
	return s
}

// span says how long something took, as people do: two units at most.
func span(d time.Duration) string {
	switch d = max(0, d); {
	case d > 0 && d < time.Second:
		return strconv.Itoa(int(d.Milliseconds())) + " ms"
	case d < 10*time.Second && d%time.Second != 0:
		return strings.TrimSuffix(strconv.FormatFloat(d.Seconds(), 'f', 1, 64), ".0") + " s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return two(int(d.Minutes()), "min", int(d.Seconds())%60, "s")
	case d < 48*time.Hour:
		return two(int(d.Hours()), "h", int(d.Minutes())%60, "min")
	}
	return two(int(d.Hours())/24, "d", int(d.Hours())%24, "h")
}

var spanRE = regexp.MustCompile(`\b(\d+h)?(\d+m)?\d+(\.\d+)?s\b`)

// plainSpans writes durations in a sentence as pages do.
func plainSpans(s string) string {
	return spanRE.ReplaceAllStringFunc(s, func(d string) string {
		if v, err := time.ParseDuration(d); err == nil {
			return span(v)
		}
		return d
	})
}

func two(a int, as string, b int, bs string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, as)
	}
	return fmt.Sprintf("%d %s %d %s", a, as, b, bs)
}

// ago says when something was; the page's script keeps it true.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return "never"
	case d < 5*time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d d ago", int(d.Hours())/24)
}

// count groups digits, with narrow spaces that do not break.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	if n < 0 {
		return s
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// percent writes a share with as many digits as tell something.
func percent(x float64) string {
	switch p := 100 * x; {
	case math.IsNaN(p):
		return "–"
	case p == 0:
		return "0 %"
	case p < 0.01:
		return "< 0.01 %"
	case p < 1:
		return strconv.FormatFloat(p, 'f', 2, 64) + " %"
	case p < 99.95:
		return strings.TrimSuffix(strconv.FormatFloat(p, 'f', 1, 64), ".0") + " %"
	default:
		return strconv.FormatFloat(p, 'f', 0, 64) + " %"
	}
}

// rate writes requests per second.
func rate(x float64) string {
	switch {
	case x == 0:
		return "0/s"
	case x < 0.1:
		return "< 0.1/s"
	case x < 10:
		return strconv.FormatFloat(x, 'f', 1, 64) + "/s"
	}
	return count(int64(math.Round(x))) + "/s"
}

// evidence writes an e-value, which may be astronomical.
func evidence(e float64) string {
	switch {
	case math.IsInf(e, 0) || math.IsNaN(e):
		return "∞"
	case e != 0 && e < 0.001:
		return "< 0.001"
	case e < 10:
		return strconv.FormatFloat(e, 'g', 2, 64)
	case e < 1e6:
		return count(int64(math.Round(e)))
	}
	return "10" + superscript(int(math.Floor(math.Log10(e))))
}

func superscript(n int) string {
	digits := []rune("⁰¹²³⁴⁵⁶⁷⁸⁹")
	var out []rune
	for _, c := range strconv.Itoa(n) {
		out = append(out, digits[c-'0'])
	}
	return string(out)
}

func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// person turns an actor of the record into a name.
func person(actor string) string {
	switch kind, name, ok := strings.Cut(actor, ":"); {
	case !ok:
		return actor
	case kind == "user":
		return name
	case actor == "system:controller":
		return "Ringfence"
	default:
		return name
	}
}

// audience says who is in a ring.
func audience(a resource.Audience) string {
	switch {
	case a.Users != nil:
		return plural(int64(len(a.Users)), "named user", "named users")
	case a.Segment != "":
		return "segment " + a.Segment
	case a.Tenants != nil:
		return plural(int64(len(a.Tenants)), "tenant", "tenants")
	case a.Regions != nil:
		return plural(int64(len(a.Regions)), "region", "regions")
	case a.Percent != nil:
		return strconv.FormatFloat(*a.Percent, 'g', -1, 64) + " % of users"
	case a.Rule != nil:
		return "whoever a rule matches"
	case len(a.Any) > 0:
		parts := make([]string, 0, 4)
		for i, one := range a.Any {
			if i == 3 && len(a.Any) > 4 {
				parts = append(parts, fmt.Sprintf("%d more", len(a.Any)-3))
				break
			}
			parts = append(parts, audience(one))
		}
		return strings.Join(parts, ", or ")
	}
	return "everyone"
}
