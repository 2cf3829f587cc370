// Package lab runs experiments: it starts them, keeps reading them, and ends them.
//
// An Experiment is declared; a run of it is begun and ended by people, or ended by a guardrail that is harmed. What a run was begun
// with stays with it: a change of the declaration is for the next run. While it runs, its participants get their
// variants by chance, which the flags that are served say; when it has ended, everyone has what the flag gives without it. A flag
// that is switched off, or places its users anew, ends the run as well: what comes back is the flag without it.
//
// Reading goes by what is told of users: exposures say which variant a participant was given, metric events what they did
// afterwards. Who is no participant is left out, whatever variant they have, and so is who chose about the flag's preview. A
// reading is recorded when what it comes to changes, and what a run ended with stands for good.
//
// Reading a sequential experiment as often as one likes costs nothing of what it promises; of the other methods the looks
// before the end are for guardrails, which are sequential always: Welch's test is read once, at the planned size, and what it said
// then is not said otherwise later.
//
// Any number of control planes may look at the same run: the first to write wins, and the others look again.
//
// Errors: errs.Missing for what there is none of, errs.Conflict for what cannot be started or ended now, errs.Invalid for an
// experiment whose flag does not fit it.
package lab
