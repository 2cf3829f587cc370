// Package switchboard is what people do with flags: show them to more users, switch them off, edit them, have edits reviewed,
// let users choose previews, and ask who gets what and why.
//
// Showing a variant to users is a rollout, whose commands apply to it; here it begins. Switching off takes a variant back from
// everyone, whatever way is the shortest: a rollout in flight is rolled back, one that has ended is returned from, and a flag
// without either is disabled. It needs no review: away from harm is always open.
//
// An edit is a JSON merge patch (RFC 7396) of the set. Where the set names reviewers for an environment in which the edit would
// change an answer, it becomes a change request instead, which is applied when those reviewers have approved it. What was
// edited meanwhile beside it stays; what was edited in the same fields makes the request stale.
//
// Errors: errs.Missing for what there is none of, errs.Invalid for an edit that makes no sense, errs.Conflict for what cannot
// be done now, errs.Denied for a review by somebody who may not.
package switchboard
