// Package track takes exposures and metric events in, keeps them, and sums them up by variant for experiments and ramps.
//
// An exposure says that a user (a targeting key) was given a variant of a flag; a metric event says that a user did
// something, with a value. Both belong to an environment. They are joined by environment and targeting key: an event counts
// for a flag when its time is not before that of the user's first exposure in the period that is asked for, in
// whatever order they arrived.
//
// Taking in. Handler serves POST /v1/track (JSON) and OpenTelemetry's POST /v1/logs and /v1/traces. A request is
// answered 200 only when all it brought is on disk. A wrong event refuses a JSON request whole; an OpenTelemetry request
// loses the wrong records and is told how many. An event with an id, a batch with an Idempotency-Key, an
// OpenTelemetry request whose records all carry their time, are counted once however often they are sent
// within RepeatWindow. When more waits than can be worked off, requests are refused with 429 and Retry-After.
//
// Keeping. The folder holds two SQLite files, write-ahead log, synchronous=FULL. What arrives is appended to
// journal.db, all requests that wait in one transaction. In the background it is sorted and folded into events.db,
// together with how far the journal was folded, so that each event is there exactly once whenever the process dies. The
// folding makes writes sequential that would touch a page of the disk each. Readers first wait for what was
// acknowledged before they asked.
//
// Events older than the retention are removed in small steps, and users of whom nothing is left with them.
// Targeting keys are kept as they are sent; Forget removes one with everything that is known of it.
package track
