// Package vetting keeps the evidence of artifacts and says which rings may get them.
//
// Evidence are bundles, kept beside artifacts under their digests and listed in one document for each artifact. What they prove is worked out
// anew from the bundles whenever it is asked: a signer that is withdrawn, a key that expires or an exception that ends counts from that moment on,
// without anything being rewritten. A release begins no rollout while its first ring is refused, and enters no further ring that is; both are on the
// record with what was missing. The way back is never asked.
//
// Watch holds what runs against the database of vulnerabilities, and tells of those that nothing excepts. It goes by every list of components that was brought,
// whether somebody vouches for it or not: a false alarm is cheaper than a silence.
package vetting
