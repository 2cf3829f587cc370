// Package compat reads interfaces and compares them: OpenAPI by the libraries kin-openapi and oasdiff, protobuf by protocompile's compiler and
// rules of our own for what is the same on the wire.
//
// Documents come from people. They are bounded in size and in operations, refer to nothing outside themselves but protobuf's
// own well-known files, and whatever a library stumbles over is an errs.Invalid.
package compat
