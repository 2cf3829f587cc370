package app

import (
	"crypto/tls"
	"net"
	"net/http"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/acme"
	"github.com/ringfence/ringfence/internal/errs"
)

// ACMEConfig says whether an authority issues the gateway's certificates.
type ACMEConfig struct {
	On        bool
	Email     string
	Directory string
	Plain     string // address for plain HTTP; empty for none
}

func addACME(cmd *cobra.Command, c *ACMEConfig) {
	f := cmd.Flags()
	f.BoolVar(&c.On, "acme", false, "get certificates for hosts of routes from an authority, whose terms you agree to; default Let's Encrypt")
	f.StringVar(&c.Email, "acme-email", "", "where the authority writes to")
	f.StringVar(&c.Directory, "acme-directory", "", "URL of another authority's ACME directory")
	f.StringVar(&c.Plain, "plain-http", "", "address that answers the authority over plain HTTP, such as 0.0.0.0:80, and leads everybody else to HTTPS; empty for none")
}

// args are the flags again, for a process that is started with them.
func (c ACMEConfig) args() []string {
	if !c.On {
		return nil
	}
	return []string{"--acme", "--acme-email", c.Email, "--acme-directory", c.Directory, "--plain-http", c.Plain}
}

// listen opens the address for plain HTTP, nil when there is none.
func (c ACMEConfig) listen() (net.Listener, error) {
	if c.Plain == "" {
		return nil, nil
	}
	ln, err := listenAt(plainDoorEnv, false, c.Plain)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "plain HTTP")
	}
	return ln, nil
}

// certify finds what the gateway shows itself with.
func (d *dataPlane) certify() error {
	d.front = d.secure
	if !d.ACME.On {
		if d.ACME.Plain != "" {
			return errs.E(errs.Invalid, "--plain-http %s: expected --acme beside it, whose challenges it answers", d.ACME.Plain)
		}
		return nil
	}
	issuer, err := acme.New(acme.Options{Directory: d.ACME.Directory, Email: d.ACME.Email, Folder: filepath.Join(d.Data, "acme"), Logger: d.Logger,
		Serves: func(host string) bool { return d.gateway.Serves(host) }})
	if err != nil {
		return err
	}
	d.issuer, d.front = issuer, issuer.Config(tls.VersionTLS12, d.secure)
	return nil
}

func (d *dataPlane) plainPages() http.Handler { return d.issuer.HTTP() }
