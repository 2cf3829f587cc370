// Package grant decides on access for a time: who may have it, who approves it, what it covers and when it is over. A
// grant counts from when it was given until it expires or is ended, only within its scope, and never by the word of
// whoever it is for.
package grant
