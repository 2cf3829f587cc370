// Package opa asks an Open Policy Agent by its data API. Only the boolean true allows: no answer, a late one, one that
// is undefined or of another type denies.
package opa
