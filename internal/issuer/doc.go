// Package issuer is a small OpenID Connect issuer for one machine: to try sign-in without an identity provider, and to test it.
// Whoever reaches it may be anybody it knows, so it listens on loopback only. It speaks discovery, the authorization code flow
// with PKCE (S256, compelled), and gives programs tokens as a pipeline's runner does: GET …/token?audience=… answers {"value": …}.
// Its key is made at its start and signs ES256.
package issuer
