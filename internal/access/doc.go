// Package access knows who signs in. A token is 256 random bits; the store holds only its SHA-256, from which it
// cannot be had back, with a name and a role. Every sign-in looks at the store, so that a revoked token ends at once.
// A revoked one is kept as that: its file in the data folder does not make it known again at the next start.
package access
