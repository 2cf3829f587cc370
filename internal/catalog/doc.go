// Package catalog is the engine of declared things: it applies resources, answers what there is, deletes what
// nothing refers to, makes releases, and puts a service together with its plan and segments for the controller.
//
// Apply takes a set and does all of it or nothing, in one write with the events that say what changed. The set is
// judged together with everything that is there already. Resources that are as they were are not written, so
// applying twice changes nothing and records nothing. What was wrong comes back as resource.Problems inside an error
// of kind Invalid.
//
// Two writers cannot break each other's references: every write of declared things replaces the document
// Catalog/head, so that of two based on the same state the slower is refused by the store, and judged again.
//
// A release is written once and never changed or deleted: the same version with the same artifact is the same release,
// with another one a conflict. Artifacts live outside the store, under their SHA-256.
package catalog
