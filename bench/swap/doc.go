// Command swap counts what users lose while a version is switched, by Ringfence's gateway and by other reverse proxies, one at a
// time, on this machine.
//
// Two addresses take turns: the next version is started on the free one, the proxy is told to switch in the best way it has,
// and the old version ends: killed as soon as the switch returns (kill), or asked to end a second later (graceful). Meanwhile
// strict clients send one request after the other over keep-alive connections, 30 % of them POST with a body that has to come
// back. They never send anything twice. Whatever a user would notice is counted as lost: a refused or reset connection, an
// answer that is not 200 or not whole, a connection that ends where an answer was due. Only a close that a client notices
// before it sends, as a browser does, costs nothing.
//
//	go run ./bench/swap -switches 100 -modes kill,graceful -work 0s,200ms
//
// A proxy that is not installed is skipped with one line. The versions and Ringfence's gateway run as processes of their own,
// from this same binary.
package main
