// Package responder keeps incidents: it opens them, calls people, writes down what happens, finds what may be the cause
// and offers what takes it back.
//
// An incident is a document and the events that made it, decided by package incident. Opening one replaces a document
// that all share (the head), so that several control planes, or a page and a halted rollout at the same moment, make
// one incident of one cause.
//
// What opens one: a page of severity page, a rollout that is halted or taken back after somebody got it, a person. What
// comes later for the same service, or for one that calls it or is called by it, joins it. Alerts that are over end no
// incident: they are noted. One whose rollouts are all back is mitigated when its alerts are over, or the requests are as
// they were before; everything
// further is for people.
//
// Calling people is data: the incident says which step is next and when. A step is one write, with the event that says
// who is called; whoever writes first has made it, and telling is the business of package notify, for which the record
// is the outbox. So a crash at any moment loses no call, and no two control planes make the same one.
//
// The timeline is not kept: it is read from the record, from an hour before the first bad event on. Nor are the causes,
// as long as the counts are there; when an incident is resolved the ranking of that moment is kept with it.
//
// Errors: errs.Missing for what there is none of, errs.Conflict for what cannot be now, errs.Invalid for wrong input.
package responder
