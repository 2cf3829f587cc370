// Package blob keeps artifacts on disk under their SHA-256: <dir>/sha256/ab/ab12…, readable and executable by the
// owner alone and never changed once there.
//
// A file appears under its name only when it is whole, hashed and on the disk: it is written beside, synced, and
// renamed. So a crash leaves at most a temporary file, which New removes once it is old. Nothing is trusted again later: reading a
// blob hashes it, and the reader fails before its end when the content is not that of the digest.
//
// Cache is the other end, for where artifacts run: it fetches what it does not have, checks it in the same
// way, and lets callers who want the same artifact at the same time share one download.
package blob
