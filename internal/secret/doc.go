// Package secret is what a secret is: its versions, in which states, and who read it. Values are none of its business: it holds what they were
// sealed to. Two versions are valid at a time, the current one and that before it, so that whoever uses the old one has time to take the
// new one; one that is revoked is gone for good.
package secret
