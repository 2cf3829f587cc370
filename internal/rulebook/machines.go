package rulebook

// What a unit's machine runs out of, and whether anything is heard of it.
var machines = []rule{
	{name: "DiskFull", severity: "page",
		expr:        `max by (unit) (ringfence_disk_free_bytes / ringfence_disk_size_bytes < 0.05 and ringfence_disk_free_bytes < 5e9)`,
		summary:     `unit {{ $labels.unit }}: {{ $value | humanizePercentage }} of the disk is left`,
		description: `It is the disk that instances work on.`,
		impact:      `What writes to the disk fails.`},
	{name: "DiskFills", severity: "page", keep: "2m",
		expr: `max by (unit) ((
  predict_linear(ringfence_disk_free_bytes[5m], 900) < 0 and ringfence_disk_free_bytes / ringfence_disk_size_bytes < 0.5
  and ringfence_disk_free_bytes < ringfence_disk_free_bytes offset 20s
)
or (
  predict_linear(ringfence_disk_free_bytes[1h], 4 * 3600) < 0 and ringfence_disk_free_bytes / ringfence_disk_size_bytes < 0.25
  and ringfence_disk_free_bytes < 0.9 * ringfence_disk_free_bytes offset 30m
  and ringfence_disk_free_bytes offset 30m < 0.95 * ringfence_disk_free_bytes offset 1h
))`,
		summary:     `unit {{ $labels.unit }}: the disk will be full in a while`,
		description: `As it fills, nothing is left within 15 minutes, or within 4 hours.`,
		impact:      `None yet. Then what writes to the disk fails.`},
	{name: "UnitNotMeasured", severity: "page", hold: "30s",
		expr:        `up{job="gateway"} == 0`,
		summary:     `unit {{ $labels.unit }}: nothing is heard of its gateway`,
		description: `Its metrics cannot be read: the data plane does not run, or cannot be reached from here.`,
		impact:      `Perhaps none, perhaps users are not served: nobody knows. Rollouts hold.`},
	{name: "NotMeasured", severity: "ticket", hold: "2m",
		expr:        `up{job!~"gateway|service|ringfence"} == 0`,
		summary:     `{{ $labels.job }} at {{ $labels.instance }} cannot be measured`,
		description: `Its metrics do not answer, or not in a format that is known.`,
		impact:      `None yet. What rests on these metrics is blind.`},
}
