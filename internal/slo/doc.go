// Package slo holds service level objectives: what OpenSLO documents say, what is asked of the metrics for them, when a
// burning error budget is worth an alert, and what is left of the budget.
//
// Documents of OpenSLO v1 are read as they are, strictly: Read names the field that is wrong. Compile puts the SLOs of a set
// together with the indicators, conditions and policies that they refer to. Every budgeting method comes down to two numbers for
// a window of time, the bad and the total events in it; for Timeslices the events are slices of time. Both are PromQL expressions
// whose values add up over windows that follow each other, so a budget counts requests, not averages of shares.
//
// Alerts are those of the SRE workbook, four pairs of windows scaled to the objective's own: a burn rate must be exceeded over
// the long window, which says that it matters, and over the short one, which says that it goes on. Detection and Reset are the
// closed form of when that is. An objective of which a pair could never fire, as even a total outage does not burn fast enough,
// is refused. Where there are no events, nothing is known: an alert that fires goes on firing, and none begins.
//
// Rules writes the same alerts as rules for Prometheus.
package slo
