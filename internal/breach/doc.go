// Package breach says what a breach looks like on the record, what a stolen identity gets to, and what has to be done before a
// breach is over.
//
// Watch folds the record, event by event, into detections: a token used from two places, somebody at work at an hour at which they never
// were, rights that somebody tries, rules loosened right before a release, what is only there to be touched by an intruder. Each names
// who looks at it and what contains it. Reach is a graph: what a principal may do, whom it may become, and what changes follow.
//
// State is a breach from its start to its end. It changes by events alone, and is closed only when it is contained and known how it was detected, how
// it was answered and how all was made good; what has to be repaired gets a deadline by severity.
package breach
