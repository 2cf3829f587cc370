// Package sealing encrypts values at rest: AES-256-GCM under a key of each value's own, which is itself encrypted under the key of a file that only its
// owner may read. What a value is of, its secret and version, is bound into it: one that is moved to another place does not open.
package sealing
