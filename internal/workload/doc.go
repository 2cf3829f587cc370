// Package workload keeps the processes of slots running on this machine (Linux).
//
// Apply says what shall run; the runtime starts what is missing, keeps what is there and stops what is no
// longer wanted. Its promises:
//
//   - What runs is what was pinned. An artifact is copied into a folder that only this user may enter, and it
//     is the copy that is hashed and executed, so nothing can be swapped in between.
//   - An instance gets no endpoint before it is ready, and loses its endpoint before it is stopped: endpoint
//     withdrawn, gateway drained, SIGTERM, and SIGKILL for whatever is left of its process group.
//   - A changed slot is rolled one instance at a time and never below the number that was ready.
//   - A crashed instance is started again, with growing pauses, and never given up.
//   - Instances do not depend on the runtime's process. They have their own session, write straight into their
//     log files and are recorded on disk before they are started; when the runtime is killed they go on, and
//     the next runtime on the same folder adopts them by pid, start time and boot. A process that was forked
//     but not yet recorded is found by a token in its environment.
//   - An instance sees a small environment made for it, and nothing of the runtime's own. The files of its config are
//     whole before it starts, readable by this user alone, and put right within a second or so when they are changed.
//
// A service must stay in the foreground: when the first process of an instance exits, the rest of its group
// is killed and the instance counts as crashed.
//
// Folder layout under Options.Dir: lock; id (names this folder in tokens); slots/<service>/<version>/bin
// (verified artifacts), .../config/<content>/ (files of configs) and .../<n>/ (record.json, work); logs/<service>/<version>/<n>.log with rotated .1 to
// .N, which outlive their slot; trash (removed in the background).
package workload
