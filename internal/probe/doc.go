// Package probe looks at services as their users would: over HTTP, in several steps if need be, TCP, DNS, TLS and gRPC.
//
// A Runner looks once at all targets of a job and answers with one round for each version. It never panics over what it is
// given or answered, and takes no longer than the timeouts of the probe allow. Answers are bounded: a MiB of a body, 64 KiB of
// headers, 64 KiB over TCP. What is told of them is one line, cut, without what would steer a terminal, and without the values
// of secrets and of variables.
//
// Connections never go to link-local addresses, where clouds hand out credentials, wherever a redirect leads. A redirect to
// another host takes none of the probe's own headers along. Every chain of certificates is checked, unless the probe takes any;
// when the first of its certificates expires is told either way.
//
// Secrets are files in one folder, by name; resources hold no values of them.
package probe
