// Package flagd serves flags by flagd's own protocols, so that every flagd provider works unchanged: flagd.evaluation.v1 and v2, which
// answer for one flag or all, and flagd.sync.v1, which hands whole sets of flags to those that evaluate themselves. Each
// speaks gRPC, gRPC-Web and Connect on any HTTP server that speaks HTTP/2 without TLS, or with it.
//
// Errors have flagd's codes: a flag that is not there is NotFound, a value of another type and a selector that means nothing InvalidArgument,
// a flag that cannot be compiled DataLoss, a rule that gave what is no variant Unknown. A disabled flag, and one that leaves the choice to
// the caller's default, are successes without a value; in version 1, which cannot say so for the latter, that is NotFound, as with
// flagd.
//
// A stream of sync begins with the whole set and has it again after each change of what its selector chooses; changes
// elsewhere are not told. A stream of events begins with provider_ready, tells of each change which flags were written,
// updated or deleted, and breaks silence with keep_alive. Changes that follow each other faster than a client reads are told as one.
// A stream deadline ends both with DeadlineExceeded, after which providers come again.
//
// Definitions are handed to clients of server scope only; a browser's key is PermissionDenied there.
package flagd
