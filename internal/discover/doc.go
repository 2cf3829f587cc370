// Package discover turns the resources of kind Scrape into targets: those that are named, those in files, and those that an address
// answers with. Files and answers are as Prometheus has them. What cannot be read or asked changes nothing: the
// targets stay as they were last.
//
// Targets is asked over and over and never waits: files are looked at when they changed, addresses are asked in the background. What
// a target's series belong to is not for discovery to say: job is the name of the Scrape and service what it declares, whatever the rules
// make of them.
package discover
