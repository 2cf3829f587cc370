// Package beside starts Ringfence's control plane and a Prometheus server next to each other, as processes of their own with their own
// defaults, so that benchmarks and comparisons speak to both as anybody's programs do: over HTTP. Everything is on loopback, and what
// a server keeps is in a folder that goes with it.
package beside
