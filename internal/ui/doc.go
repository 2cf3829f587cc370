// Package ui is the control plane's pages for people: server-rendered, readable without scripts, kept live by
// server-sent events. What a page can change it changes through the same engines as the API, as the person who signed
// in, authorised by the same policy; nothing can be done here that the API cannot do.
//
// A session is a random cookie. The store holds under its hash the token that it stands for, sealed with a key that only
// the cookie gives, so that a session outlives the process, a stolen store signs nobody in, and a deleted token ends
// its sessions at once. Changes need a same-origin request and the session's own form token.
//
// Pages load their own scripts and styles and nothing else: no inline scripts, no inline styles, no other host.
// Without the browser libraries that `make assets` brings, pages stand still and have no charts, but say everything.
package ui
