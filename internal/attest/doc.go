// Package attest checks Sigstore bundles, keyless and by key, with nothing but what it is handed: no call leaves the machine, and
// no trust is fetched. A bundle verifies when its signature holds for the artifact, by the signer that was asked for, at a
// time that is attested, with every proof in it right. What the library leaves to its caller is decided here:
//
//   - an identity and its issuer are always required; the hint of a key in a bundle is not believed;
//   - keyless needs a certificate's log entry (SCT), a transparency log entry and an attested time: there is no way to skip one;
//   - a key counts within its validity only, by the attested time or else by the clock;
//   - a log entry or time beside a key's signature need not be there, and has to be right when it is;
//   - bundles, log entries and statements have limits.
//
// Without a root of its own a signer is checked against that of Sigstore's public instance, pinned in the folder trust.
package attest
