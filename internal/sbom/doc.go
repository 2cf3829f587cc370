// Package sbom reads lists of what an artifact is made of, CycloneDX (1.2 to 1.7) and SPDX (2.2, 2.3) in JSON, to one list of
// components with package URL, version and licences. Lists come from strangers: they have limits, and what is beyond them is refused, not cut.
//
// A licence is an SPDX expression; whether one will do is asked of each licence in it, so that MIT OR GPL-3.0-only will do where MIT does.
package sbom
