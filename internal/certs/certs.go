package certs

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// Files are a certificate chain and its key, in PEM.
type Files struct{ Cert, Key string }

// looking is how often the files' times are looked at, at most.
const looking = 10 * time.Second

// Config returns nil when no files are given.
func (f Files) Config(least uint16, log *slog.Logger) (*tls.Config, error) {
	if f == (Files{}) {
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
	files Files
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

// load reads the files if their times are others than those of what is held.
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
