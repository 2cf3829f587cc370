// Package link joins the planes. The hub in the control plane holds what each unit last reported and wakes the
// units' data planes when something they shall run has changed; everything that matters is in the store, so a
// restarted hub is complete again with the next report, one second later.
//
// A unit has one data plane. Which one is kept in the store, and another one is refused for as long as that one is heard
// of: it goes on serving what it had on disk, and its reports count for nothing.
package link
