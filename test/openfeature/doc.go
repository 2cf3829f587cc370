// Package openfeature proves that OpenFeature's Go SDK works with Ringfence through the providers that others made: flagd's, by remote
// and by local evaluation, and OFREP's. It is a module of its own so that what those providers need does not become a
// dependency of Ringfence.
package openfeature
