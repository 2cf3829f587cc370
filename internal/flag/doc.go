// Package flag holds feature flags: it reads definitions in flagd's format, compiles them once, and says for a context
// which variant of a flag is served, with which value and why.
//
// What a file may say is what flagd's schemas say (flags.json for providers, flagd.json for the daemon, which also takes
// a list of flags), read strictly: a field that nobody knows, a key that stands twice, a variant of another type than its
// siblings and a rule that cannot be meant are problems, each with its path. Problems are told all at once. Whether
// they are a reason to refuse the file is for the caller to say, who may be strict (a person declares a flag) or
// lenient (a file that flagd would run with a warning): the Set that comes with the problems evaluates what can
// be evaluated, as flagd does, and answers PARSE_ERROR for a flag whose rule cannot be compiled. Only a file that is not
// a set of flags at all gives no Set.
//
// A Document says more of its flags than flagd has words for: owners, prerequisites, schedules, environments, previews, how
// a variant is brought to the users. It is not evaluated. Lower makes a plain set of it, for one environment and one
// state of what moves (exposures by rings, users' choices, experiments), and that set is what everyone is served, by this
// package or by any of flagd's providers, with the same answer. What Lower promises: who is in which ring is what
// exposure.Rings says, bit for bit; nobody loses a variant while its ramp grows; the sides of a trial are chosen by
// chance that has nothing to do with the rings; and what does not move leaves a flag as it was written. Sides and
// Participants answer, without allocating, who is on which side of a comparison.
//
// Evaluation does not fail, does not allocate on its usual ways, and depends on nothing but the set and the
// context, in which the time is. A Set never changes; it may be used by many at once. The values and metadata in its
// answers are its own: they are not to be written to.
package flag
