// Package health turns signals into verdicts: pass, hold or fail, with reasons and numbers.
//
// Bad events of a canary are compared with those of stable over the same time by an e-process, which may be
// looked at after every sample: the chance that a healthy canary is ever failed is at most alpha. No evidence
// is a verdict of its own, hold; it never means pass.
package health
