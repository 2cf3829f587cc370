// Command gateway measures Ringfence's gateway next to other reverse proxies, one at a time, on this machine.
//
// A fixed backend answers every request with 1 KiB; wrk sends requests over keep-alive connections through each proxy
// in turn. In each round the order is rotated, and what is compared are ratios to nginx in the same round, since the
// machine's other load changes what a second holds. CPU is the user and system time of the proxy's whole process tree
// divided by the requests answered. A proxy that is not installed is skipped with one line.
//
//	go run ./bench/gateway -rounds 5 -seconds 5
//
// The backend and Ringfence's gateway run as processes of their own, from this same binary.
package main
