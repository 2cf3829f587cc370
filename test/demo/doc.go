// Package demo checks that the demo's summary keeps its contract with scripts.
package demo
