// Package supply is what is known of where an artifact comes from: who may vouch for it, what was vouched for, and how
// it was built. It is pure: signatures are checked by an adapter, which hands in only what verified.
//
// A Signer is one who may vouch: a key, or an identity that an issuer attests. It is never anybody: a pattern that
// takes every name is refused. A Statement is in-toto's, read strictly and within limits; Provenance is SLSA's.
package supply
