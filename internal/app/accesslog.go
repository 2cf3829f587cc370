package app

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/accesslog"
	"github.com/ringfence/ringfence/internal/errs"
)

// AccessConfig says where the gateway's requests are written, line by line.
type AccessConfig struct {
	Path   string  // empty: nowhere; -: standard output
	Sample float64 // share of the requests that did not fail
	Size   int64   // MiB of a file

	Callers []string // networks where instances of other machines call from
}

// addGateway adds the flags of who runs a gateway.
func addGateway(cmd *cobra.Command, trusted *[]string, c *AccessConfig) {
	f := cmd.Flags()
	f.StringArrayVar(trusted, "trusted-proxy", nil, "address or network of a proxy before the gateway, such as 10.0.0.0/8, whose X-Forwarded fields are believed; may be given several times")
	f.StringArrayVar(&c.Callers, "caller-network", nil, "address or network where instances of other machines call from, whose Ringfence-Caller is believed; may be given several times")
	f.StringVar(&c.Path, "access-log", "", "file that gets a line of JSON for each request, or - for standard output; empty for none")
	f.Float64Var(&c.Sample, "access-log-sample", 1, "share of the requests that it gets, above 0 and at most 1; failed and refused ones always")
	f.Int64Var(&c.Size, "access-log-size", 100, "MiB at which the file is put aside; five such files are kept")
}

// prefixes reads addresses and networks.
func prefixes(all []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range all {
		p, err := netip.ParsePrefix(s)
		if a, err2 := netip.ParseAddr(s); err2 == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			return nil, errs.E(errs.Invalid, "--trusted-proxy %q: expected an address or a network, such as 10.0.0.0/8", s)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// check is also what makes the path one that another process understands.
func (c *AccessConfig) check() error {
	if c.Path == "" {
		return nil
	}
	if !(c.Sample > 0 && c.Sample <= 1) {
		return errs.E(errs.Invalid, "--access-log-sample %g: expected a share above 0 and at most 1", c.Sample)
	}
	if c.Size < 1 || c.Size > 1<<20 {
		return errs.E(errs.Invalid, "--access-log-size %d: expected MiB, from 1 to %d", c.Size, 1<<20)
	}
	if c.Path == "-" {
		return nil
	}
	path, err := filepath.Abs(c.Path)
	c.Path = path
	return err
}

func (c AccessConfig) open(log *slog.Logger) (*accesslog.Log, error) {
	if err := c.check(); err != nil || c.Path == "" {
		return nil, err
	}
	return accesslog.New(accesslog.Options{Path: c.Path, Size: c.Size << 20, Logger: log})
}

// args are the flags again, for a process that is started with them.
func (c AccessConfig) args() []string {
	var args []string
	for _, n := range c.Callers {
		args = append(args, "--caller-network", n)
	}
	if c.Path == "" {
		return args
	}
	return append(args, "--access-log", c.Path, "--access-log-sample", strconv.FormatFloat(c.Sample, 'g', -1, 64), "--access-log-size", strconv.FormatInt(c.Size, 10))
}
