// Package flagserve puts flags on the network: a Feed holds what is served to each environment and tells those who watch, Handler answers
// all of the protocols on one port for a server that has one, and Server stands in for flagd on flagd's four ports, with flags
// from files and from elsewhere.
//
// Files are looked at five times a second, and read again when they are others: by time, size or inode, so that a file that is replaced and one
// that is written anew are both seen, as are Kubernetes' links. All of them are read before any is served, so what is served is
// always whole. A file that is no set of flags, or is gone, changes nothing: what was read last is served on, and why is logged
// once. Sources that are elsewhere, an address that is asked every few seconds with the tag of its last answer or a server of flagd's sync, are taken
// as files are: what was got last stands until there is something better. A Server does not start without the first of each.
//
// A Server is ready when its first flags are there, which is before its other ports are open. It stops by ending its streams with
// Unavailable, which providers answer by coming again, and then waits for what is being answered.
package flagserve
