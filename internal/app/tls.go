package app

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// TLSFiles are a certificate chain and its key, in PEM. Both are read again when they change, so that a renewed
// certificate needs no restart; a pair that does not fit is reported and the one before stays in use.
type TLSFiles struct{ Cert, Key string }

// looking is how often the files' times are looked at, at most.
const looking = 10 * time.Second

// config returns nil when no files are given.
func (f TLSFiles) config(least uint16, log *slog.Logger) (*tls.Config, error) {
	if f == (TLSFiles{}) {
		return nil, nil
	}
	if f.Cert == "" || f.Key == "" {
		return nil, errs.E(errs.Invalid, "TLS needs both a certificate and its key")
	}
	r := &reloading{files: f, log: log}
	if err := r.load(); err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "TLS")
	}
	return &tls.Config{MinVersion: least, GetCertificate: r.get}, nil
}

// reloading holds the certificate of now.
type reloading struct {
	files TLSFiles
	log   *slog.Logger

	mu     sync.Mutex
	cert   *tls.Certificate
	looked time.Time
	seen   [2]time.Time
}

func (r *reloading) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.looked) > looking {
		if err := r.load(); err != nil {
			r.log.Error("the renewed certificate cannot be used; the one before stays", "err", err)
		}
	}
	return r.cert, nil
}

// load reads the files if they are newer than what is held.
func (r *reloading) load() error {
	r.looked = time.Now()
	var seen [2]time.Time
	for i, path := range []string{r.files.Cert, r.files.Key} {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		seen[i] = info.ModTime()
	}
	if r.cert != nil && seen == r.seen {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(r.files.Cert, r.files.Key)
	if err != nil {
		return err
	}
	r.cert, r.seen = &cert, seen
	return nil
}

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
