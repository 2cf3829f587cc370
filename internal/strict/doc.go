// Package strict reads what clients send, byte by byte and before any server does, and says where it could be read in two ways or costs
// more than it may.
//
// Requests follows HTTP/1: heads line by line, bodies by length or chunks, one request after the other on a connection. Frames follows
// HTTP/2: what a frame may be is the server's business; here is counted what floods one, and put right what servers are stricter about than
// they need to be. Both are told of bytes as they come and answer how many of them may be passed on; after a violation, none may.
//
// A line that violates a rule never reaches the server with its end, so that no server, however lenient, can take it for a request.
// Both are state machines without I/O and clock.
//
// Target and Host are the rules for a request's target and host, whichever protocol they came by.
package strict
