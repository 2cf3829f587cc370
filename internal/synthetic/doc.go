// Package synthetic says what probes saw, and what that means.
//
// A round is one look of one prober at one version: good when all that was asked of it was answered as expected. A prober
// says that a version fails after several failed rounds in a row, and that it does not after one good one. A version is
// down when enough probers say so whose last round is fresh. Too few fresh ones to say either are no data, which is
// neither up nor down: what was known before stays.
//
// Two versions are compared by the rounds that the same prober made of both at about the same time: failures by the
// e-process and times by the rank test of package health, which may be looked at as often as one likes.
package synthetic
