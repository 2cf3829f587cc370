// Package strict sends requests as clients do that forgive nothing. Nothing is sent twice; a connection that cannot be made, a reset, an
// end on a connection that was just used, an answer that is not 200, not whole or not that of this request is a loss. Only a
// connection that was closed while nothing was asked on it, and was seen to be before the next request, is none: that is how HTTP ends
// connections. It is imported by tests only.
package strict
