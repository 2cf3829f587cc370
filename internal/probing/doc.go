// Package probing lets probers look at their times, keeps what they saw, and says what it means.
//
// A Loop lets a Runner look at every job of one prober, each at whole multiples of its interval, moved by a part of it that its name
// decides, so that not all look at once; all versions of one job are looked at together. A job that is still under way is
// not begun again. Rounds go to an Outbox, which hands them on in order and keeps a bounded number while nobody takes them;
// what it had to drop, the oldest first, it counts.
//
// A Board takes the rounds of all probers. It votes on each version, records when one goes down or comes back, when a
// certificate is about to expire, and tells alerts for as long as they hold: one for a service, however many of its
// probes and versions fail, and one for all when most services fail at once. Within a time in which nobody is to be told, nothing is told and
// everything kept. Silence is no news: what is down stays down until a prober sees it up.
// What the board knows is written to a file every few seconds and read at the start, so that a restart forgets next to nothing
// and an alert keeps the time at which it began.
package probing
