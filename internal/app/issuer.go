package app

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/issuer"
)

const maxIssuerFile = 1 << 20

func issuerCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "issuer FILE",
		Short: "Run a small OpenID Connect issuer on this machine, to try sign-in",
		Long: `Runs an issuer that knows the people, clients and programs of a file. It asks nobody for a password, so it listens on
loopback only: it is for trying sign-in, and for tests. Its keys are made anew at each start.`,
		Example: "  ringfence issuer people.yaml\n  curl -s 'http://127.0.0.1:7480/programs/deploy/token?audience=ringfence'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := readIssuer(args[0])
			if err != nil {
				return err
			}
			return serveIssuer(cmd.Context(), listen, c, func(at string) { fmt.Fprintf(cmd.OutOrStdout(), "issuer %s\n", at) })
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:7480", "address on loopback")
	return cmd
}

func readIssuer(path string) (issuer.Config, error) {
	var c issuer.Config
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxIssuerFile {
		return c, errs.E(errs.Invalid, "%s: expected a file of at most %d bytes", path, maxIssuerFile)
	}
	text, err := os.ReadFile(path)
	if err == nil {
		read := yaml.NewDecoder(bytes.NewReader(text))
		read.KnownFields(true)
		err = read.Decode(&c)
	}
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		return c, errs.Wrap(errs.Invalid, err, "%s", path)
	}
	return c, nil
}

func serveIssuer(ctx context.Context, listen string, c issuer.Config, ready func(string)) error {
	host, _, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return errs.E(errs.Invalid, "--listen %q: expected an address on loopback, such as 127.0.0.1:7480: whoever reaches the issuer may be anybody", listen)
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "cannot listen")
	}
	at := "http://" + l.Addr().String()
	handler, err := issuer.New(at, c, time.Now)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	ready(at)
	if err := server.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}
