package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
)

type releaseFlags struct {
	version, artifact string
	env               []string
	replace, watch    bool
}

func releaseCommand(e *env) *cobra.Command {
	var f releaseFlags
	cmd := &cobra.Command{
		Use:   "release SERVICE",
		Short: "Release a version and start its rollout",
		Long: `Uploads the artifact, makes a release of it, and starts its rollout through the service's rings. A release is
immutable: the same version cannot be released again with another artifact. Without --artifact, a version that was
released before is rolled out again.`,
		Example: "  ringfence release shop --version v2 --artifact ./shop-v2\n  ringfence release shop --version v3 --artifact ./shop-v3 --env LOG=debug --watch",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Rollout, error) {
				return f.release(ctx, c, args[0])
			})
			if err != nil {
				return err
			}
			if f.watch {
				return e.watch(cmd, out.Rollout.ID)
			}
			return e.show(cmd, out, func(w io.Writer) {
				fmt.Fprintf(w, "rollout/%s %s: %s\n", out.Rollout.ID, out.Rollout.Phase, out.Waiting)
			})
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.version, "version", "", "the version's name")
	fl.StringVar(&f.artifact, "artifact", "", "file that is run")
	fl.StringArrayVar(&f.env, "env", nil, "NAME=VALUE added to the environment of this version; may be given several times")
	fl.BoolVar(&f.replace, "replace", false, "give up a rollout of another version that is in flight")
	fl.BoolVarP(&f.watch, "watch", "w", false, "follow the rollout to its end")
	_ = cmd.MarkFlagRequired("version") // the flag is there: it was added above
	return cmd
}

func (f releaseFlags) release(ctx context.Context, c *client.Client, service string) (wire.Rollout, error) {
	r := wire.Release{Version: f.version, Replace: f.replace}
	var err error
	if r.Env, err = pairs("--env", f.env); err != nil {
		return wire.Rollout{}, err
	}
	if f.artifact != "" {
		stored, err := c.PutFile(ctx, f.artifact)
		if err != nil {
			return wire.Rollout{}, err
		}
		r.Digest = stored.Digest
	}
	return c.Release(ctx, service, r)
}

// pairs reads NAME=VALUE flags.
func pairs(flag string, list []string) (map[string]string, error) {
	out := make(map[string]string, len(list))
	for _, p := range list {
		k, v, ok := strings.Cut(p, "=")
		if !ok || k == "" {
			return nil, errs.E(errs.Invalid, "%s %q: expected NAME=VALUE", flag, p)
		}
		if _, twice := out[k]; twice {
			return nil, errs.E(errs.Invalid, "%s %s is given twice", flag, k)
		}
		out[k] = v
	}
	return out, nil
}
