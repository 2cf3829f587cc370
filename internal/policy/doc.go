// Package policy says who may do what. It is asked for every request and answers with an error of kind
// errs.Denied that names what was missing; whatever it does not know is denied.
package policy
