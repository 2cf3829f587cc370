// Package rum takes in what pages tell of how they are for their users: how fast they show and answer, which errors their scripts
// have, and what users did.
//
// The script is served beside the pages, from their own origin, and so is the place that it tells: no other host, no
// CORS, no inline code. It sets no cookie and keeps nothing in the browser. It says which version, ring and variants of
// flags a page came with, as the gateway told it with the page; what it says is believed only as far as it names what
// there is. Users who ask not to be tracked (DNT, Global Privacy Control) are not: the script stays silent, and what
// comes with such a header is not read.
//
// Nothing of who or where a user is stays: no address, no user agent, no query of a page; what looks like an address
// of mail or a long number is taken out of errors. A user's targeting key goes, hashed by nobody but in the same way as
// those of exposures, only to where events are kept, and only when the service declares events.
//
// Everything is bounded: bytes of a report, reports a second and under way, pages, events, flags and errors of a service. What is over is counted
// as refused by its reason, and answered like the rest: a page gets 204, whatever became of its report, and waits for nothing.
package rum
