// Package accesslog writes lines to a file, or to standard output, for whoever must not wait: a line is copied into memory and written within a
// quarter of a second. When the disk is slower than the lines come, lines are left out, and a line says how many.
//
// The file is its owner's only. At its largest size it becomes FILE.1, what was FILE.1 becomes FILE.2, and so on; the oldest goes. Moved
// or removed by somebody else, it is opened anew.
package accesslog
