// Package servicing changes the schemas of declared databases beside the services that use them: binaries first, then the schema, then
// cleaning up.
//
// A person asks for a step (Start, Complete, Return); package layer decides whether it may be, by what runs in production; the step is
// recorded; and Run carries it out, again and again until the database says that it is done or that it is refused. What the database
// says is the truth: it is looked at after every attempt, whether that succeeded or not, and every so often in between, so that what
// was done by other hands is known and recorded, too.
//
// A step that the database refuses, because sessions use what would go, is back where it was, with the reason. Nothing is in memory
// only: a control plane that dies while it works finds the step in the store, and the database finds its migration in itself. Two
// control planes do not work on one database at once, as it has a lease.
package servicing
