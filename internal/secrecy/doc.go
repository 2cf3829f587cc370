// Package secrecy keeps secrets: values go in sealed, and come out only for who asks for one by name, which is on the record before the value is
// given. Values stand in no event, error or answer but that one.
//
// An instance of a service gets the secrets that its service declares, the current and the overlapping version of each. Who ever read a secret is known: people by
// name, instances by service, version, number and unit.
package secrecy
