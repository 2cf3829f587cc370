// Package agent is the data plane's end of the link: it follows what the unit shall run, keeps the last of it
// on disk, applies it to the gateway and the process runtime, and reports what it sees.
//
// It starts from the disk before it has spoken to any control plane, so that a data plane that comes up alone
// serves what it served before. Applying is declarative and repeated after every restart. A service that cannot be
// applied stays as it was and holds up no other; one that the control plane does not know any more is kept, until it
// says that it is gone.
package agent
