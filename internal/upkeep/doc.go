// Package upkeep looks after the units in which services run: it takes them into maintenance and back, and keeps in the record what
// data planes do by themselves.
//
// A unit in maintenance gets nothing new: no rollout enters a ring that has members there. One that is drained also sends its
// users away: its data plane says that it is not ready, waits until load balancers have noticed and nothing is in flight, and
// stops its instances. A unit that alone serves a service is not drained unless that is forced. Returning starts the instances
// first and is ready after.
//
// A data plane starts an instance anew and follows the load without asking; it reports both, and they are recorded once, however many control
// planes hear of it: what was recorded last is a document that each writes at the revision it has read.
package upkeep
