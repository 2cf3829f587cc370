package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
)

func ringCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:     "ring",
		Short:   "Ask who is in which ring",
		Example: "  ringfence ring of --service shop --user alice",
	})
	var service, unit, user string
	var attrs []string
	of := &cobra.Command{
		Use:     "of --service SERVICE",
		Short:   "Say in which ring a user is, which version they get, and why",
		Example: "  ringfence ring of --service shop --user alice\n  ringfence ring of --service shop --user bob --attr country=nz",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			attributes, err := pairs("--attr", attrs)
			if err != nil {
				return err
			}
			out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.RingOf, error) {
				return c.RingOf(ctx, service, unit, user, attributes)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, out, func(w io.Writer) {
				who := out.User
				if who == "" {
					who = "a user without a key"
				}
				version := out.Version
				if version == "" {
					version = "nothing: no version is out"
				}
				fmt.Fprintf(w, "%s is in ring %s of %s and gets %s\nwhy: %s\n", printable(who), out.Ring, out.Service, version, printable(out.Why))
			})
		},
	}
	f := of.Flags()
	f.StringVar(&service, "service", "", "the service")
	f.StringVar(&unit, "unit", "", "where the user is; may be left out of a service that runs in one unit")
	f.StringVar(&user, "user", "", "the targeting key")
	f.StringArrayVar(&attrs, "attr", nil, "NAME=VALUE, an attribute of the context; may be given several times")
	_ = of.MarkFlagRequired("service") // the flag is there: it was added above
	cmd.AddCommand(of)
	return cmd
}
