// Package oidc asks issuers by OpenID Connect: the authorization code flow with PKCE, state and nonce for people, and tokens of
// programs. What an issuer says counts only when its signature, by an asymmetric algorithm and a key of its own published set,
// its name, audience and times are right. Answers of issuers are bounded in size and time.
package oidc
