// Package client speaks to a control plane's API: one method for each operation, errors with the kinds that they had
// on the other side.
//
// Every request may be repeated: reads change nothing, and changes carry an idempotency key. So when the control
// plane cannot be reached, as while it restarts, requests are tried again for a few seconds before they fail with
// errs.Unavailable. Streams of events go on from the last one received.
package client
