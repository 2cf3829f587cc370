// Package lull says when the requests to a service stay away, which no count of errors shows: a name that is not resolved any
// more, a button that does nothing, a customer's network that is down.
//
// A Watch is fed how many requests came in each slice of time, and compares them with the recent past of the same service. It takes for
// normal whatever is at least half of the median of the last half hour, and not lower than what the last two hours have
// seen, so neither the evening nor traffic that comes and goes by itself is a lull; where the day before fell at that time
// of day, less is expected now. The test is sequential: a Shiryaev-Roberts e-detector over several depths of a lull, of counts whose
// variance is measured, not assumed. While the requests are at least what is normal it crosses its threshold on average no more often than
// once in Threshold slices (of ten seconds: thirty years), however often one looks. The evidence is what is missing: about forty requests
// beyond chance, so a busy service is seen within seconds, and one with a request a minute never, by night as little as by day.
//
// Slices of which nothing is known say nothing, neither that requests came nor that they stayed away.
package lull
