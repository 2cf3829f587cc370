// Package availability says minute by minute how a service was there for its users, and what cost it that.
//
// Each minute is judged by what gateways counted in it: requests that failed (5xx, or no answer), that were shed at a limit of the
// service, and that took too long. It is bad when their share reaches what the service declares (spec.availability). A minute without
// a request is idle, and one of which no gateway's counts are known says that: neither is called good.
//
// Beside bad minutes stands what happened then, by the record and by the gateways: rollouts, flags, changes of what is declared,
// restarts, scaling, maintenance, upgrades, incidents, limits reached, instances left out or not ready. That something happened beside a
// bad minute proves no cause; incidents rank causes.
//
// Nothing is kept: it is read from metrics and record, and goes back as far as metrics are kept. Counts are of whole scrapes, so one that
// falls between two minutes may be counted in either.
package availability
