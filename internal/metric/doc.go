// Package metric is what a measurement is on its way into the metrics: a name and labels, a time and a value, and why one
// was refused. Who measures speaks in it, so that it needs to know nothing of how metrics are kept.
package metric
