// Package rehearsal tries alert rules on series that somebody made up, before they watch anything: what fires at which time, with which
// labels and annotations, and what expressions give. It reads the format in which promtool tests rules, so that one file does for both,
// and evaluates by Prometheus' own rules and engine, set up as Ringfence has them, over a database of each test's own that is gone
// afterwards. Time is that of the test: a day takes as long as its evaluations.
package rehearsal
