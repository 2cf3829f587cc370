// Package alert says what an alert is: labels that make its identity, annotations that tell people of it, and the
// time during which it holds. It has the shape of Alertmanager's, so that alerts of others come in, and ours go out,
// unchanged.
//
// Whoever sees a condition sends its alert again and again while it lasts, and once more with EndsAt when it is over.
// An alert that is no longer sent is over after a while, though nobody saw it end.
package alert
