// Package calendar says when windows are open: freezes, and the peaks that a bake has to cover.
//
// A window is a beginning and an end by the clock on a wall in a time zone, and perhaps a rule by which it comes
// again, as an iCalendar event has it (RFC 5545). 09:00 to 17:00 stays 09:00 to 17:00 when that clock is changed:
// rules are worked out in local time, and only what comes out is given an offset. Where the clock leaves out a
// beginning or an end, the moment of the change takes its place; where it shows one twice, a window begins at the
// first and ends at the last. A window that the change leaves nothing of does not come that day.
//
// A rule begins with its first match at or after the window's start. Rules that cost more than they are worth, by
// the minute or without any match, are refused by Check. Whoever asks about a window that Check refuses gets the
// answer that holds changes back: it is active without a known end, and covered by nothing.
//
// ImportICS and ExportICS exchange windows with other calendars. Everything here may be called concurrently.
package calendar
