// Package cli is the command line. It speaks only to the API, through package client, which proves the API
// complete; what needs no server (verdict, schema, version) runs offline.
//
// Answers go to standard output and everything else to standard error; with --json every answer is JSON. An error
// is one line, its hint another, and each problem of a file a line as compilers write theirs. The exit status says
// what sort of error it was; ringfence help exit-status lists them.
package cli
