// Package child starts what benches put side by side: other programs, with everything that they start in a process group of
// its own, and the bench's own binary in another role. What a bench has started dies with it.
package child
