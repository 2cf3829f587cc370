// Package fleet says what a unit shall run and what it is seen to run.
//
// Desired is written by the control plane and carried to the unit's data plane, which keeps it on disk and goes
// on serving it with the control plane dead. Observed is what the data plane reports back. Both are complete:
// applying the same Desired twice changes nothing, and the latest Observed replaces every earlier one.
package fleet
