package app

import (
	"net"
	"net/url"
	"path/filepath"

	"github.com/ringfence/ringfence/internal/cli"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/notify/send"
)

// secretsFolder holds, below the data folder, the files that notifiers name.
const secretsFolder = "secrets"

// teller makes what tells notifiers of what is on the record; address is where this process answers.
func (s *server) teller(address string, l net.Listener) *notify.Engine {
	return notify.New(notify.Options{
		Store: s.store, Catalog: s.catalog, Rollouts: s.controller, Changes: s.store, Link: linkTo(s.URL, address, l.Addr()), Logger: s.Logger,
		Sender: send.New(send.Options{Secrets: filepath.Join(s.Data, secretsFolder), Version: cli.Version()}),
	})
}

// linkTo is what links in messages begin with: what was said, else where the process answers; "" when that is all
// addresses of the machine, of which none is known to be the one that people use.
func linkTo(said, address string, at net.Addr) string {
	if tcp, ok := at.(*net.TCPAddr); said == "" && ok && tcp.IP.IsUnspecified() {
		return ""
	}
	if said == "" {
		return address
	}
	return said
}

// checkURL wants an address that links can begin with, or none.
func checkURL(address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errs.E(errs.Invalid, "--url: expected where people reach the UI, such as https://ringfence.example.com, without a query")
	}
	return nil
}
