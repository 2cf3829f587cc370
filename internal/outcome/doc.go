// Package outcome says what became of a release's hypothesis: what its users did beside those of the version before.
//
// A release may state what is expected of it, and the event in which that would show. Which version a user had is an
// exposure like that of a flag (Flag of the service), and what they did a metric event; so the statistics of
// experiments serve as they are, with intervals that may be looked at any time. What is compared is the last time in which both
// versions had users: a stage of the rollout. Users who had both are left out.
//
// Rings are not always drawn by chance. Where the users of the new version are some segment, what differs may be the users; the
// report says so.
package outcome
