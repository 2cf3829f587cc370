// Package gateway takes users' requests to the version that their ring is given, and counts them.
//
// Its whole routing is one immutable table. Apply makes a new one and puts it in force; a request is claimed for a
// version (it counts as in flight there) under the lock that Apply takes to switch, and only if the table it was
// routed by is still the one in force. So when Apply has returned, no new request goes by the earlier routing, and
// Drain sees every request that does: none is between two versions. Apply never waits for requests.
//
// A version without a ready instance holds its requests, in a bounded queue and for a bounded time, until an
// instance appears or the exposure changes; a held request is claimed by no version and is routed anew.
//
// The service is spoken to over pooled HTTP/1.1 connections, or over HTTP/2 cleartext for gRPC. A request is sent
// again only when that is safe: after a failed connect, when not a byte of it was sent, or when its method is
// idempotent and not a byte of the answer was seen. A response that the service cuts is cut for the user too.
//
// WebSockets, event streams and gRPC streams do not count as requests that a drain waits for until its limit. They go
// on after their version has left every ring until Route.StreamTimeout, and are then closed, spread over some time.
//
// A request is counted once for its version and ring, and once more for each exposure of a flag that is in trial among the
// requests of its service: for the side of the trial that its user is on, by the same function that answers the flag. A route
// without such ramps pays nothing for them.
//
// Where the route says to which account a request belongs, it is counted for that account and minute, too: those with most
// trouble of a bounded number (see account.Sketch), which are told minute by minute and are in no metric.
//
// Answers of the gateway's own carry Proxy-Status (RFC 9209), and those of them that are the fault of the service or
// of the gateway are counted in ringfence_gateway_failures_total.
package gateway
