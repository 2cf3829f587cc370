// Package flaggate decides, for every protocol that flags are served by, who may ask, for which flags and as which user.
//
// A key names a client: an environment, a scope, and the flags that it may see. It comes as a Bearer token or in X-API-Key; a
// key of browser scope, which is public by its nature, may stand in an address where a browser can send no headers. Without a
// Keys port, and while the gate is open, everyone is let in. Each key has a rate.
//
// A selector, in the header Flagd-Selector in flagd's grammar or by X-Flag-Set with the set's id, chooses among the flags. A
// client that is bound to a selector sees no others.
//
// The context that a user sends is theirs to claim, unless the server knows better: configured attributes win over what was sent,
// and configured headers (which a proxy sets) over both. A client's users may have to be proved: by a JWT in the header X-User-Token or as
// targetingToken in the context, which the application's own server signed (HS256 or EdDSA) and whose sub is the user. A targetingKey
// that is another is refused; a missing one is filled in.
package flaggate
