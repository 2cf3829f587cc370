// Package authority answers who may do what. It puts a request together with what is known here: the groups that
// somebody is declared to be in, a service's labels, what is going on. It asks the rules, the grants that somebody holds
// now, and a remote policy agent where one is declared; all of it is read at every request, so that what was changed,
// revoked or has expired counts at once, everywhere. What cannot be read or evaluated denies.
//
// It also guards the rules themselves: what does not compile, or would leave nobody who could change them again, is
// refused; and where changes of policy need approval, they wait for it.
package authority
