// Package replay decides a rollout again, ring by ring, from the evidence that was recorded of it: by its own gates, or by
// others that one would like to try.
//
// Gather puts together what the record and the metrics hold. Run moves each ring that was entered through its recorded
// time, with rollout.Next and the trials of the gates, as a controller would, and says when it would have been left, and how.
//
// A ring is judged on the traffic that it had. Its evidence begins when it was entered and ends when it was left, so that
// what would have come later, had it not been left, cannot be told. What waited for something other than the gates, as for an
// approval, hours or the peak, waits as long again. Answers from outside (queries, series, webhooks, commands, probes) are
// taken as they were recorded, at changes of the verdict; what was not recorded counts as passed. Who was on which side is
// not recorded by sample, so splits of users are not judged again.
package replay
