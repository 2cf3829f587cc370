// Package segment keeps log entries in files of its own, as package logs promises.
//
// A file is a row of frames; a frame is a length, a checksum, a header that can be read alone (times, numbers, the labels that occur)
// and a compressed body. Entries are appended to the youngest file (N.log); what several callers bring at once is one write
// and one flush, and only then are they answered. A file that has grown is rewritten in the background, by service, in large frames (N.seg),
// which compress better and are skipped sooner. A question reads the headers, and of the bodies only those that can hold an answer.
//
// A frame that the power cut short is cut off when the store is opened, as nobody was told of it. A write that fails is taken back. Before
// the folder grows over its limit the oldest file goes; when the disk has less room than the floor nothing is written, so that
// logs never take the last of the disk from the state and the record beside them.
package segment
