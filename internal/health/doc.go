// Package health turns signals into verdicts: pass, hold or fail, with reasons and numbers.
//
// Bad events of a canary are compared with those of stable over the same time by an e-process, which may be
// looked at after every sample: the chance that a canary no worse than maxRatio allows is ever failed by the
// comparison is at most alpha, however long it is watched. The absolute limit maxShare is judged in the same way,
// with the same bound of its own. No evidence is a verdict of its own, hold; it never means pass.
//
// A Process folds samples as they come. It is plain data: it may be stored as JSON and read back in the middle,
// or built again from the samples, and gives the same judgement. Fail is final: later samples change nothing,
// and the evidence stays what it was at the stop.
//
// The bounds hold for requests that go bad independently of each other, given what moves both sides alike.
// Traffic, shares and the common failure rate may change from sample to sample as they like; one broken user
// who retries a hundred times is counted a hundred times, however, so users that repeat themselves cost trust.
//
// A Quantile judges a quantile of latency, p99 say, from histograms: by bands that hold for it at all times at once, borne
// out by a comparison of counts sample by sample, so that neither traffic that moves nor another shape of the same p99 fails
// a canary. Readings judge what is asked outside (a query, a webhook, a command, a probe) by limits and patience, without a
// promise about chance. Ranks judge two series as they come. Each is made by its New, folds what it is given in order, and may be
// built again from the same; each says with NoData that it holds for want of an answer rather than of evidence.
//
// JudgeDistribution judges the values of any metric, the canary's beside stable's. It bets, window by window,
// on which of the two values is the canary's: evidence as above, exact when swapping the two values of a window
// changes nothing in what could be expected, and not when values depend on earlier ones of their own side. A canary
// that leaves a level which stable never leaves fails by a rule with a cost of its own. The Mann-Whitney method is that
// of Kayenta's judge, looks once, and shares its weaknesses.
package health
