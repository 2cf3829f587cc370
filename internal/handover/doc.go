// Package handover lets a process of Ringfence be replaced by another one while it serves.
//
// The one that goes (here a Predecessor) starts the one that comes (a Successor) with its listening sockets and one end of a
// socket pair, on which both speak lines of JSON. Every line names a step; a step that is not known is passed over, so that a
// later version may say more:
//
//	goes → comes  hello     who I am, who asked for this
//	comes → goes  prepared  my arguments are right, I can read the state; nothing was changed yet
//	goes → comes  release   I have stopped writing, every lock is free: all is yours
//	comes → goes  serving   I have taken it and answer
//	goes → comes  yours     I have seen it and do not come back: what I still have in flight I answer to the end
//	goes → comes  tell      how far I am with that, any number of times
//	comes → goes  failed    I cannot, and why
//
// Up to "yours" the one that goes can have everything back: it kills the other, awaits its end and takes its locks again. Only one of
// them ever has the locks, and writes. The end of the socket pair closes with the process, however that ends: the one that comes takes
// over from one that was killed, the one that goes takes back from one that was.
//
// The package also has the socket by which people ask a running process for this, and the messages for systemd.
package handover
