// Package ship takes signed checkpoints off the machine: into a folder, which may be another machine's, to a webhook, and to witnesses
// that speak C2SP's tlog-witness. A folder can be read back, so that a record whose end was cut off is noticed.
package ship
