// Package osv knows vulnerabilities in the format of OSV (1.x): which versions of a package one is in, how bad it is, and whether two are one.
//
// Versions are ordered as each ecosystem has it: semantic versions for Go, npm, crates.io, Hex, Pub, SwiftURL and GitHub Actions,
// PEP 440 for PyPI, dpkg's order for Debian and Ubuntu. In other ecosystems only versions that an entry lists are compared, and
// where it has nothing but ranges the package counts as affected: what cannot be told is not taken for safe. How bad one is comes from its own words
// (GitHub's advisories), or else from its CVSS 3 vector; one that says neither is Unknown, which is above every bar.
package osv
