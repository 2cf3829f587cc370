// Package acme gets certificates from an authority that speaks RFC 8555, such as Let's Encrypt, when somebody first connects to a host, and renews them
// when a third of their time is left.
//
// It asks for hosts only that it is told are served, so that nobody makes it ask for others by connecting under their names. Accounts, keys and
// certificates are kept in a folder that only its owner reads. Challenges are answered by HTTP-01, on a port for plain HTTP, and by
// TLS-ALPN-01, on the port for HTTPS itself.
package acme
