package rulebook

import "fmt"

// grows is true for a version whose instances' memory, by how it has grown over a time, takes all that the machine has left within some
// seconds; which has grown by a factor in the first half of that time, and goes on: a cache that fills, and is full, does not.
func grows(over, half, quarter string, within int, by float64) string {
	const memory = "ringfence_instance_memory_bytes"
	sum := func(of string) string { return "sum by (service, version, unit) (" + of + ")" }
	now, then := sum(memory), sum(memory+" offset "+over)
	return fmt.Sprintf(`(
  %s > on (unit) group_left () ringfence_memory_available_bytes
  and %s - %s > 0.15 * (%[2]s - %[4]s)
  and %[5]s > %[6]g * %[4]s
)`, sum(fmt.Sprintf("predict_linear(%s[%s], %d) - %[1]s", memory, over, within)), now, sum(memory+" offset "+quarter), then, sum(memory+" offset "+half), by)
}

// Where instances stand, or what they run out of.
var instances = []rule{
	{name: "NoInstanceReady", severity: "page", hold: "10s",
		expr: `sum by (service, unit) (ringfence_instance_ready) == 0
and on (service, unit) sum by (service, unit) (max_over_time(ringfence_instance_ready[1h])) > 0`,
		summary:     `{{ $labels.service }}: no instance is ready in unit {{ $labels.unit }}`,
		description: `Instances were ready within the last hour, and none is now.`,
		impact:      `Every request to {{ $labels.service }} fails.`},
	{name: "InstanceHangs", severity: "page", hold: "20s", cause: "crash",
		expr: `max by (service, version, unit) (
  ringfence_instance_ready == 0 and max_over_time(ringfence_instance_ready[15m]) == 1 and changes(ringfence_instance_restarts_total[2m]) == 0
)`,
		summary:     `{{ $labels.service }}: an instance of {{ $labels.version }} runs and is not ready any more`,
		description: `It was ready, it has not ended, and it does not answer when it is asked whether it is ready.`,
		impact:      `What it was working on is lost, and the other instances, which carry its load, may be next.`},
	{name: "CrashLooping", severity: "page",
		expr:        `sum by (service, version, unit) (increase(ringfence_instance_restarts_total[10m])) > 2.5`,
		keep:        "1m",
		summary:     `{{ $labels.service }}: instances of {{ $labels.version }} ended {{ $value | humanize }} times within ten minutes`,
		description: `They end by themselves and are started again with growing pauses. ringfence service logs {{ $labels.service }} shows their last words.`,
		impact:      `Requests to {{ $labels.service }} are cut or wait.`},
	{name: "MemoryLeak", severity: "page", keep: "1m",
		expr:        grows("2m", "1m", "30s", 900, 1.1) + "\nor " + grows("1h", "30m", "15m", 6*3600, 1.2),
		summary:     `{{ $labels.service }}: the memory of {{ $labels.version }} grows until the machine has none`,
		description: `As it grows, it takes all that is left within 15 minutes, or within 6 hours.`,
		impact:      `The machine will end instances, those of other services too.`},
	{name: "FilesRunOut", severity: "page",
		expr:        `max by (service, version, unit) (ringfence_instance_open_files / ringfence_instance_max_files) > 0.8`,
		hold:        "10s",
		summary:     `{{ $labels.service }}: an instance of {{ $labels.version }} holds {{ $value | humanizePercentage }} of the files and connections that it may`,
		description: `With none left it takes no connections, opens no file and asks no other service.`,
		impact:      `Requests to {{ $labels.service }} will fail.`},
	{name: "ServiceNotMeasured", severity: "ticket", hold: "30s",
		expr: `min by (service, version, unit) (up{job="service"}) == 0
and on (service, version, unit) min by (service, version, unit) (ringfence_instance_ready) == 1`,
		summary:     `{{ $labels.service }}: the metrics of {{ $labels.version }} cannot be read`,
		description: `Its instances are ready, and what it declares as its metrics does not answer, or not in a format that is known.`,
		impact:      `None yet. What rests on these metrics is blind.`},
}
