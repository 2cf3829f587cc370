// Package errs gives every error a kind. Engines and stores return kinds; the API, the CLI and the UI
// translate them once, at the edge: a kind never changes on the way, and a message never holds a secret.
package errs
