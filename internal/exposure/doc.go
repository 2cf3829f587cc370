// Package exposure says who sees what: it decides from a context (a targeting key and attributes) in which ring
// a user is, and evaluates the rules by which rings, segments and flags choose their audience.
//
// Rules are written in flagd's targeting grammar: JSONLogic with fractional, sem_ver, starts_with and ends_with,
// so any flagd provider evaluates them to the same answer. CompileRule turns a rule into closures once; evaluating
// the usual rules then allocates nothing. A rule cannot fail at evaluation: what makes no sense (a number out of
// "abc", a version out of "x") is null, and null is not a match. A rule cannot run away either: its size, depth
// and the work of its loops are bounded.
//
// Where JSONLogic's implementations differ, this one holds to the original's answers, with these exceptions:
// arithmetic and ordering of things that are no numbers give null instead of NaN and false; text counts as a
// number only as a whole; lists and objects are equal when their content is; an operator that takes many
// arguments takes them also from one expression that gives a list; unknown operators are refused when compiled.
//
// Rings nest. Whoever is in a percent ring is in every larger one of the same salt and stays in it while it grows,
// because the bucket of a user depends on nothing but the salt and the targeting key. Different salts are
// independent of each other.
//
// How fractional places users has versions, which are flagd's; rings are always placed by V2. CompileLogic reads another
// dialect, that of JSONLogic's community; rules are never read by it.
//
// Nothing here reads a clock, a file or the network: the timestamp is part of the context.
package exposure
