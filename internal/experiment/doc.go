// Package experiment reads experiments: from summaries of what the users of each variant did to effects, intervals and one
// of four words (ship, stop, keep running, broken) with the reason in a sentence.
//
// A Summary holds counts, means and covariances of one metric in one variant; Sums adds them up user by user, and may be
// merged and stored. Compare estimates the difference between two summaries and its standard error: the difference of
// proportions, means, quantiles or ratios, absolute or relative to the control, both of the latter by the delta method, less what a
// covariate from before the experiment explains (CUPED). Test turns an estimate into an interval and a p-value or a chance:
// Welch's t-test, which holds at the one look that was planned; asymptotic confidence sequences (Waudby-Smith, Arbour, Sinha,
// Kennedy and Ramdas, https://arxiv.org/abs/2103.06476), which hold at every look as far as means are
// normal; and a normal posterior, which promises nothing about false alarms under repeated looks.
//
// Analyze does all of this for an experiment's metrics and gives the reading. Users who landed in other shares than were
// meant, or in several variants, make it broken: what differs may then be the users. Guardrails are judged by one-sided
// confidence sequences whatever the method, since they are looked at all the time, and harm to one stops the variant. A relative
// effect is told sequentially only when the plain difference is too, as the interval of a quotient is too narrow on one side while few
// users did what is counted. A metric without an estimate (nobody there, nothing that varies) says so; it is never read as no
// difference.
//
// Sizing plans: how many users it takes to see an effect, or what effect some users suffice for.
//
// The users of a summary must be independent of each other: one entry a user, however much each of them did. Everything
// here is a function of its arguments; nothing panics on numbers that make no sense, Validate refuses them.
package experiment
