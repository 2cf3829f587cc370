package send

import (
	"crypto/tls"
	"crypto/x509"
)

// Trust takes the certificates of the tests' servers.
func (s *Sender) Trust(roots *x509.CertPool) {
	s.secure = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	s.transport = newTransport(s.secure.Clone())
}
