// Package scale says how many instances of each version a service needs for the requests that its gateway sees.
//
// A version is always counted for all of the service's users, whoever has it now: what makes a rollback one step is that the
// version before could take everyone the moment they return, and what keeps a ring from meeting a cold version is that the new
// one could, too.
//
// More is done at once, at most doubling within a quarter of a minute. Less is done only after the smaller number would have been enough all
// through Limits.Down, and never below Limits.Min. Within a tenth of what is there, nothing changes: a load that sits at a
// boundary does not start and stop the same instance all day.
package scale
