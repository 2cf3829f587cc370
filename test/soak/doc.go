// Command soak switches a version over and over under mixed load, and kills the old instance as soon as each switch has returned: no request may be
// lost by the gateway.
//
// The instances are processes of their own, from this same binary, and end by SIGKILL. A switch starts the next version, waits until it is ready,
// puts it in force, and waits until the old one's plain requests have been answered; streams it does not wait for. Every tenth old version is
// left alone until the deadline of its streams, so that it can be seen that they go on until then.
//
// The clients send nothing twice: HTTP/1.1 over kept connections, GET and POST; HTTP/2; uploads of megabytes, by length and in chunks; bodies sent and
// answers read slowly; gRPC calls; event streams, WebSockets and gRPC streams. A request that is not answered with 200, by one version, whole and
// with what was sent, is lost: a refused or reset connection, an end where an answer was due, a body that was cut.
//
// A stream that ends is told by why: its version had been killed (what any proxy would lose), its time was over, or neither, which is lost.
//
//	go run ./test/soak -switches 1000
package main
