package acme

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	xacme "golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/ringfence/ringfence/internal/errs"
)

// Options of an Issuer.
type Options struct {
	Directory string // URL of the authority's directory; default Let's Encrypt's
	Email     string // where the authority writes to when something is wrong
	Folder    string // where keys and certificates are kept
	Serves    func(host string) bool
	Client    *http.Client // default: http.DefaultClient
	Logger    *slog.Logger
}

// Issuer gets certificates.
type Issuer struct {
	m   autocert.Manager
	o   Options
	mu  sync.Mutex
	ill map[string]time.Time // hosts without a certificate, and when that was last said
}

// quiet is the time between two complaints of one host.
const quiet = time.Minute

// New makes an issuer. It asks the authority for nothing yet.
func New(o Options) (*Issuer, error) {
	if o.Directory == "" {
		o.Directory = autocert.DefaultACMEDirectory
	}
	if u, err := url.Parse(o.Directory); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, errs.E(errs.Invalid, "ACME directory %q: expected a URL such as %s", o.Directory, autocert.DefaultACMEDirectory)
	}
	if o.Email != "" && !strings.Contains(o.Email, "@") {
		return nil, errs.E(errs.Invalid, "ACME email %q: expected an address", o.Email)
	}
	i := &Issuer{o: o, ill: map[string]time.Time{}}
	i.m = autocert.Manager{
		Prompt: autocert.AcceptTOS, Email: o.Email, Cache: autocert.DirCache(o.Folder),
		HostPolicy: func(_ context.Context, host string) error {
			if !o.Serves(host) {
				return errs.E(errs.Denied, "no service has a route for host %q by that very name", host)
			}
			return nil
		},
		Client: &xacme.Client{DirectoryURL: o.Directory, HTTPClient: o.Client, UserAgent: "ringfence"},
	}
	return i, nil
}

// Config is a server's configuration. Hosts of the certificate that also gives, if any, keep that one.
func (i *Issuer) Config(least uint16, also *tls.Config) *tls.Config {
	return &tls.Config{MinVersion: least, NextProtos: []string{xacme.ALPNProto}, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		challenge := len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == xacme.ALPNProto
		if also != nil && !challenge {
			c, err := also.GetCertificate(hello)
			if err == nil && (hello.ServerName == "" || c.Leaf != nil && c.Leaf.VerifyHostname(hello.ServerName) == nil) {
				return c, nil
			}
		}
		c, err := i.m.GetCertificate(hello)
		if err != nil {
			i.complain(hello.ServerName, err)
		}
		return c, err
	}}
}

// HTTP answers challenges by HTTP-01, and leads everybody else to HTTPS.
func (i *Issuer) HTTP() http.Handler { return i.m.HTTPHandler(nil) }

// complain says why a host that is served has no certificate, once a minute. What clients ask for besides is their business.
func (i *Issuer) complain(host string, err error) {
	if !i.o.Serves(host) {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if time.Since(i.ill[host]) < quiet {
		return
	}
	i.ill[host] = time.Now()
	i.o.Logger.Error("no certificate for a host that is served", "host", host, "err", err,
		"hint", "the authority must reach this host on port 443, or on port 80 with --plain-http; see docs/gateway.md")
}
