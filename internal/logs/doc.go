// Package logs says what a log entry is, which entries a question means, and how they are counted. It is pure.
//
// An entry belongs to a service and, as far as that is known, to a version, a ring, a unit and an instance; its source says who
// wrote it: an instance itself (output), the gateway about a request that failed or was slow (gateway), or a program by
// OpenTelemetry (otlp). Severities are OpenTelemetry's numbers. The store gives each entry a number, Seq; time and number
// together order entries, and are the cursor of whoever reads on.
//
// What a store of entries promises, and logs/segment keeps: an entry whose Append returned is on the disk, through kill -9 and
// loss of power; an entry of a stream that was taken once is not taken twice; the store never grows over its limit, and gives up the
// oldest entries first; on a full disk it refuses, with errs.Unavailable, and takes entries again when there is room.
package logs
