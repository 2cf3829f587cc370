package app

import (
	"crypto/tls"
	"net"
	"net/netip"
	"net/url"

	"github.com/ringfence/ringfence/internal/certs"
	"github.com/ringfence/ringfence/internal/errs"
)

// TLSFiles are a certificate chain and its key, in PEM.
type TLSFiles = certs.Files

// guardAddress refuses to open one of Ringfence's own pages to a network without TLS.
func guardAddress(what, addr string, withTLS bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return errs.E(errs.Invalid, "%s: address %q: expected host:port", what, addr)
	}
	ip, err := netip.ParseAddr(host)
	if withTLS || host == "localhost" || err == nil && ip.IsLoopback() {
		return nil
	}
	return errs.E(errs.Invalid, "%s: %s can be reached from other machines, which needs TLS", what, addr).
		Next("give a certificate and its key, or bind to 127.0.0.1 and put a TLS proxy in front")
}

// guardServer refuses to send the data plane's token in the clear to another machine.
func guardServer(server string) error {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errs.E(errs.Invalid, "server %q: expected the control plane's URL, such as https://control.example.com:7400", server)
	}
	return guardAddress("server", net.JoinHostPort(u.Hostname(), "0"), u.Scheme == "https")
}

func scheme(secure *tls.Config) string {
	if secure != nil {
		return "https://"
	}
	return "http://"
}
