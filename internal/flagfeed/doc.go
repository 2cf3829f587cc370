// Package flagfeed follows what an environment's flags are served by, so that they are served where their users are, with or without
// a control plane.
//
// A feed is saved before it is used, so that a program that starts again with nobody to ask serves what it served last. A disk
// that cannot be written to does not keep a flag from being switched off: the feed is used all the same, but nothing is acknowledged
// until it is saved, so nothing moves outward meanwhile.
//
// A set that cannot be read is served as it last could be, together with the exposures of its flags as they were then; the others are
// not held up by it. Sets that have not changed are not compiled again.
//
// An exposure is acknowledged, by its generation in Statuses, once its flag is served so here and requests are counted by it. What
// is acknowledged of an environment always has its mark, flag.Mark, so that an exposure that is not heard of here can be told
// from a program that serves no flags.
package flagfeed
