// Package link joins the planes. The hub in the control plane holds what each unit last reported and wakes the
// units' data planes when something they shall run has changed; everything that matters is in the store, so a
// restarted hub is complete again with the next report, one second later.
package link
