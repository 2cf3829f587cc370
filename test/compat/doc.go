// Package compat keeps what two neighbouring versions of Ringfence say to each other and leave for each other: messages between planes, and
// documents in the store, as the version before wrote them. While an upgrade lasts, and after going back, each must read what the other
// writes. testdata has one of each with every field that the version before knew.
//
//	go test ./test/compat -update
//
// writes them anew, once a version is released: until then a field that is gone from them is a field that the version before misses.
package compat
