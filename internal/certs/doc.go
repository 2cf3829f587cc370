// Package certs holds a certificate that is read again when its files change, so that a renewed one needs no restart. The files' times are looked at when
// somebody connects, at most every ten seconds. A pair that cannot be read or does not fit is reported, and the one before stays in use.
package certs
