// Package account says how each customer of a service fared: an average hides the one for whom nothing works.
//
// An account is whom requests belong to, as the service's route says (route.account): a customer, a tenant. A gateway counts the
// requests of each account for a minute in a Sketch, which keeps the accounts with most trouble and needs the same memory however many
// there are. A Book puts the minutes of all gateways together: a minute of an account is bad when the share of its requests
// that failed or took too long reaches the service's limit. It keeps what is worth keeping for 28 days: of every account how many of its
// minutes were judged and were bad, of its latest bad minutes how many requests, in which versions and rings.
//
// Sketch is the space-saving algorithm of Metwally, Agrawal and El Abbadi (2005) with weights: a good request weighs 1, a bad one
// BadWeight. Of W, the weight of all requests of the minute, and its size K it promises:
//
//   - every account whose requests weigh more than W/K is kept;
//   - what is counted of a kept account was its own, and is at most Missed ≤ W/K, in weight, too little.
//
// So of K = 512 accounts in a minute with 50,000 good requests none with two bad ones is lost, whoever else comes. A Book calls a minute
// bad only when it is so whatever was missed.
//
// IDs of accounts come from users' requests: they are bounded in length and number, and are never a label of a metric.
package account
