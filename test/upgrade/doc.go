// Package upgrade replaces a running Ringfence by another version of itself, again and again, under clients that forgive nothing.
package upgrade
