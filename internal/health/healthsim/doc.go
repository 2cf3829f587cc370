// Package healthsim runs gates against simulated canaries of which the truth is known, to measure how often
// healthy ones are stopped and how soon bad ones are. Equal seeds give equal results. It is for tests and
// benches, and is no part of the program.
package healthsim
