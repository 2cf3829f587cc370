// Package rulebook holds the alert rules that every installation has, without anybody declaring them: what users notice of any
// service, and what its instances and their machine run out of.
//
// Each rule is worth a person's time: it names the service, says in a sentence what is wrong, with numbers, what users notice, and where
// it stands what to do. It is quiet through deployments, restarts, nights and services that hardly anybody uses. A service that
// names a rule under alertsOff is not watched by it.
//
// They are ordinary rules of Prometheus, evaluated as those that people declare.
package rulebook
