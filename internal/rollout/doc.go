// Package rollout carries a change through the rings of its plan.
//
// Next decides: from the state, the evidence and the time it derives the events that follow, and nothing
// else happens. Fold applies an event to a state. Wanted reads from a state what must be running and who
// must see it: the actions. So an action is never stored and never lost; whoever crashes reads the state
// again and wants the same. Command turns what a person asks for into events, or says why not.
//
// What always holds, whatever the evidence and the commands:
//   - a ring is passed once, in order, and only with a passing verdict from every gate after its whole bake;
//   - hold, no evidence and paused never move a change outward; harm takes it back even when paused;
//   - a rollback ends on the version that ran before, and only once that version is ready;
//   - times are kept in the state, so a restart loses no bake time; time that nobody watched is not baked.
package rollout
