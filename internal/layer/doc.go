// Package layer decides what may happen between the versions of services and the versions of a database's schema, so that no version
// that runs, or is kept warm, is ever without the schema that it was started on.
//
// A State is what is known of a database: which versions of its schema can be used, and which step is under way. A Use is a version of
// a service that runs, stands by or is being rolled out, with the version of the schema that it is on. Three rules hold it together:
//
//   - MayRun: a version is started only on a schema that is live, is not about to go, and is one that it understands.
//   - MayComplete: the old schema goes only when everything in production is on the new one, and no rollout is still on its way.
//   - MayReturn: the new schema is taken back only when nothing is on it.
//
// What was decided is recorded as the step's phase before anything is done to the database, and from then on the schema that goes is
// not offered any more. Whoever starts a version replaces the State's document in the same write, unchanged: of a start and a step that
// were decided on the same state, the slower one is refused by the store and decided again.
package layer
