// Package openfeature proves that OpenFeature's SDKs work with Ringfence through the providers that others made: flagd's, by remote
// and by local evaluation, and OFREP's; for Go, for JavaScript in node, and for pages in a browser. It is a module of its own so that what those
// providers need does not become a dependency of Ringfence. The JavaScript packages are pinned by js/package-lock.json and installed
// by npm when they are not there.
package openfeature
