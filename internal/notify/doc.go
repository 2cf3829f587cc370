// Package notify tells people and programs of what is on the record.
//
// The record is the outbox. For every Notifier a document, its cursor, says up to where it has been told; a worker
// reads on from there, leaves out what its filter does not want, joins what happens to one rollout within a time into
// one message, has it sent and moves the cursor. Nothing is written when an event is recorded, so that no change waits
// for a receiver, and a receiver that is dead holds up only itself.
//
// What is promised, whatever crashes and when:
//   - Nothing is lost: the cursor passes an event only in the write that says that its message was taken by the
//     receiver, or that it was given up, which is an event (notify.failed) in the same write.
//   - Before a message is sent, the cursor says so (Sending), with who sends it and until when. Cursors are
//     replaced by revision, so of several control planes on one database one sends and the others leave it alone.
//   - A message has the same ID at every attempt. A webhook's is that of its one event, so that a receiver can drop
//     a repeat; a mail's is its Message-ID.
//   - A message is sent twice only when nobody can know whether it was taken: the process died, or the connection
//     broke, after it was sent and before the answer was on the cursor. Repeats for people say that they may be one.
//   - A process that knows that a message was taken, and cannot write it down, goes on trying to write it down; it does
//     not send again. One that is told to end finishes what it is sending.
//
// An attempt has a time limit, and failed ones are repeated with growing pauses until the notifier's giveUp is over,
// measured from when the message was due and since when the receiver has failed. What the receiver answers that it
// will never take is given up sooner.
//
// How a message reaches a receiver, with its secrets, is the business of a Sender.
package notify
