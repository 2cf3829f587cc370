// Package resource holds what people declare: services, segments, ring plans and releases, and what must hold
// for them. Spec is what is wanted; what is seen lives in rollouts and in what units report.
//
// Validate and Check are pure: they name the field that is wrong and what was expected. Files, lines and
// diffs are the business of package manifest.
package resource
