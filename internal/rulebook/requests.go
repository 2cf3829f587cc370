package rulebook

import "fmt"

// The objectives of a service that declares none: so many requests of a hundred are answered without an error, and within Within seconds.
const (
	Answered = 99.9
	InTime   = 99.0
	Within   = "1"
)

const (
	// a flag's exposure is counted like a service, and watched by its own gates
	failed = `ringfence_requests_total{code=~"5..",service!~"flag:.*"}`
	every  = `ringfence_requests_total{service!~"flag:.*"}`
	took   = `ringfence_request_duration_seconds{service!~"flag:.*"}`
	enough = 10.0 // bad requests in the long window: one failure among ten wakes nobody
)

// share is the share of requests that failed in a window, by service.
func share(window string) string {
	return fmt.Sprintf(`sum by (service) (increase(%s[%s])) / sum by (service) (increase(%s[%[2]s]))`, failed, window, every)
}

// slow is the share of requests that took too long in a window, by service.
func slow(window string) string {
	return fmt.Sprintf(`(1 - histogram_fraction(0, %s, sum by (service) (rate(%s[%s]))))`, Within, took, window)
}

// burn is true where a budget burns too fast over a long window and still does over a short one, as the SRE workbook has it.
func burn(of func(window string) string, long, short string, limit float64) string {
	return fmt.Sprintf("%s > %.4g\nand on (service) %s > %.4g", of(long), limit, of(short), limit)
}

// fast is what wakes people: a fiftieth of a month's budget within an hour.
const (
	fastRate = 14.4
	slowRate = 6
)

// failures asks for enough of them in a window.
func failures(window string) string {
	return fmt.Sprintf("\nand on (service) sum by (service) (increase(%s[%s])) >= %g", failed, window, enough)
}

// waits asks for so many requests in a window that enough of them are slow when it burns at a rate.
func waits(window string, rate float64) string {
	return fmt.Sprintf("\nand on (service) sum by (service) (increase(%s[%s])) >= %.3g", every, window, enough/(rate*(100-InTime)/100))
}

var requests = []rule{
	{name: "ErrorsBurn", severity: "page",
		expr:        burn(share, "1h", "5m", fastRate*(100-Answered)/100) + failures("1h"),
		summary:     `{{ $labels.service }}: {{ $value | humanizePercentage }} of its requests fail`,
		description: `An objective of 99.9 % spends a fiftieth of a month's error budget within an hour, and it goes on.`,
		impact:      `Users of {{ $labels.service }} see errors.`},
	{name: "LatencyBurn", severity: "page",
		expr:        burn(slow, "1h", "5m", fastRate*(100-InTime)/100) + waits("1h", fastRate),
		summary:     `{{ $labels.service }}: {{ $value | humanizePercentage }} of its requests take longer than a second`,
		description: `An objective of 99 % within a second spends a fiftieth of a month's budget within an hour, and it goes on.`,
		impact:      `Users of {{ $labels.service }} wait.`},
	{name: "TrafficDrop", severity: "page",
		expr:        `ringfence_traffic_rate and on (service) ringfence_traffic_lull == 1`,
		summary:     `{{ $labels.service }}: the requests stay away, {{ $value | humanize }} a second are left`,
		description: `Less than half of what came in the last half hour, and less than ever in the last two hours, by more than chance allows.`,
		impact:      `Users do not reach {{ $labels.service }}, and nothing that they see would tell it.`},
	{name: "BrowserErrors", severity: "page",
		expr: `sum by (service, version) (increase(ringfence_rum_errors_total[5m])) > 10
and sum by (service, version) (increase(ringfence_rum_errors_total[5m])) > 0.05 * sum by (service, version) (increase(ringfence_rum_views_total[5m]))`,
		summary:     `{{ $labels.service }}: {{ $value | humanize }} errors of its pages within five minutes, in version {{ $labels.version }}`,
		description: `More than one in twenty views of a page ends in an error of its script.`,
		impact:      `Pages of {{ $labels.service }} do not work for some of its users.`},
}

// slowly is looked at less often: its windows are long.
var slowly = []rule{
	{name: "ErrorsBurnSlowly", severity: "ticket",
		expr:        burn(share, "6h", "30m", slowRate*(100-Answered)/100) + failures("6h"),
		summary:     `{{ $labels.service }}: {{ $value | humanizePercentage }} of its requests have failed for hours`,
		description: `An objective of 99.9 % spends a twentieth of a month's error budget within six hours, and it goes on.`,
		impact:      `Some users of {{ $labels.service }} see errors.`},
	{name: "LatencyBurnSlowly", severity: "ticket",
		expr:        burn(slow, "6h", "30m", slowRate*(100-InTime)/100) + waits("6h", slowRate),
		summary:     `{{ $labels.service }}: {{ $value | humanizePercentage }} of its requests have taken longer than a second for hours`,
		description: `An objective of 99 % within a second spends a twentieth of a month's budget within six hours, and it goes on.`,
		impact:      `Some users of {{ $labels.service }} wait.`},
}
