// Package objective watches the SLOs that are declared: it reads what was counted, keeps the budgets, sends alerts, and says what
// low budgets mean for changes.
//
// A step of an objective reads the windows of its conditions. Short ones are asked of the metrics as they are; long ones are summed
// from a book of slices, to which each step adds what has ended since, and in which it looks again at the last few, for data that
// came late. The book outlives the metrics' retention: it is stored, and what is missing of it after a restart is read again.
//
// An alert begins and ends with an event in the record, in the same write as the state that a restart goes on with. While it holds it is sent
// again and again, and once it is over until that was heard. Without data nothing is known: an alert goes on, none begins, and after
// a while that nothing is measured is an alert of its own.
//
// What budget policies ask of a service's changes is a document that the controller reads. It changes when an alert begins or ends or a
// budget passes a limit, and never in between.
//
// Errors: errs.Missing for an SLO that there is none of.
package objective
