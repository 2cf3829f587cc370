// Package simulate tries a ring plan out before a change does: many releases go through it in simulated time, healthy
// ones and ones with a regression of which the truth is known.
//
// What decides is what decides in production: rollout.Next and Fold move the rollout, and the trials that rollout makes of
// the plan's gates judge it. Simulated are the units, which switch at once and never fail, and the users: each is as
// active as any other, and each request goes bad independently of the others with the chance that the case states. Users
// who retry, releases that crash, users sent to the wrong side and people who pause or hurry are left out.
//
// Rings are shares of the users. Percentages nest; audiences that are rules are taken to be independent of them and of each
// other. Time passes in steps of five seconds where a ring begins, which grow to a minute, or in long bakes to a 720th of them;
// every step gives each gate one sample. Gates are asked whenever their answer could move the rollout.
//
// Only gates that count requests are simulated; all others pass at once. Nobody is waited for: approvals are given and
// hours are open when they are needed. A bake that has to cover the peak lasts until the busiest hour of the day's curve has
// passed, or for a day where the traffic has none. The report says which of this the plan met.
//
// Equal cases give equal reports, however many processors work on them: run i draws from the seed and i alone.
package simulate
