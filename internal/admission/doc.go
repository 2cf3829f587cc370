// Package admission decides what may ship: it holds what was proven of an artifact against what is demanded before a ring.
//
// It is pure. Proofs are bundles that verified, or did not, for the signers of one Admission; nothing that did not verify counts for anything.
// A decision lists all that is missing, in words that say what to do, and what was let through by which exception. Where nothing is
// demanded everything is admitted.
package admission
