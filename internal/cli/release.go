package cli

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
)

type releaseFlags struct {
	order    wire.Release
	artifact string
	hotfix   string
	env      []string
	watch    bool
	metric   resource.ExperimentMetric
	commit   string
	document string
	attest   []string
}

// lanes are the lanes of hotfixes by how severe it is.
var lanes = map[string]string{"": "", "sev0": "sev0", "sev1": "sev1", "sev2": "hotfix", "sev3": "hotfix"}

func releaseCommand(e *env) *cobra.Command {
	var f releaseFlags
	cmd := &cobra.Command{
		Use:   "release SERVICE",
		Short: "Release a version, a config or both, and start the rollout",
		Long: `Uploads the artifact, makes a release of it, and starts its rollout through the service's rings. A release is
immutable: the same version cannot be released again with another artifact. Without --artifact, a version that was
released before is rolled out again.

With --config, a config that was made before goes out with the version; with --config alone it goes out with the version
that is stable, and with neither --config nor --no-config the stable config stays. What goes out together comes back
together.

Where the service names a database, --understands says which versions of its schema the release can run on; it begins on
the one that is stable, so that it changes no schema. With --schema alone the stable version goes over to another version
of the schema, ring by ring.

With --hotfix it takes the place of a rollout in flight: sev0 goes straight to the units that are hit (--units, default
all), sev1 through the first ring and then to them on approval, sev2 and sev3 through all rings with their shorter bakes.
Gates that a lane does not wait for are judged beside it and reported, and one that fails takes the change back.`,
		Example: `  ringfence release shop --version v2 --artifact ./shop-v2
  ringfence release shop --version v3 --artifact ./shop-v3 --env LOG=debug --watch
  ringfence release shop --config c2
  ringfence release shop --version v3 --artifact ./shop-v3 --understands public_01_first,public_02_split
  ringfence release shop --schema public_02_split
  ringfence release shop --version v3 --artifact ./shop-v3 --interface openapi.yaml
  ringfence release shop --version v3 --artifact ./shop-v3 --attest shop.provenance.sigstore.json --attest shop.sbom.sigstore.json
  ringfence release shop --version v3 --artifact ./shop-v3 --hypothesis "one page sells more" --metric purchase
  ringfence release shop --version v4 --artifact ./shop-v4 --hotfix sev0 --units eu-1 --reason "checkout is down in eu-1"
  ringfence release shop --version v3 --force --reason "it was the network"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(e, cmd, args[0]) },
	}
	f.common(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.hotfix, "hotfix", "", "how severe it is: sev0, sev1, sev2 or sev3")
	fl.StringSliceVar(&f.order.Hit, "units", nil, "the units that are hit, for sev0 and sev1 (default all)")
	fl.BoolVar(&f.order.Replace, "replace", false, "give up a rollout of another version that is in flight")
	fl.BoolVar(&f.order.Force, "force", false, "release again what was taken back")
	return cmd
}

func (f *releaseFlags) common(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.order.Version, "version", "", "the version's name (default the one that is stable, for a config alone)")
	fl.StringVar(&f.artifact, "artifact", "", "file that is run")
	fl.StringArrayVar(&f.env, "env", nil, "NAME=VALUE added to the environment of this version; may be given several times")
	fl.StringVar(&f.order.Config, "config", "", "the version of the service's config that goes with it (default the one that is stable)")
	fl.StringVar(&f.order.Schema, "schema", "", "the version of the database's schema that it goes out on (default the one that is stable, or the oldest that it understands)")
	fl.StringSliceVar(&f.order.Understands, "understands", nil, "versions of the database's schema that the release can run on, such as public_01_first,public_02_split")
	fl.BoolVar(&f.order.NoConfig, "no-config", false, "without a config")
	fl.BoolVar(&f.order.ThroughFreeze, "through-freeze", false, "go through freezes")
	fl.StringVar(&f.order.Reason, "reason", "", "why; needed for --hotfix, --force and --through-freeze")
	fl.StringVar(&f.order.Hypothesis, "hypothesis", "", "what is expected of it, in a sentence")
	fl.StringVar(&f.metric.Event, "metric", "", "the event of users in which that would show")
	fl.StringVar(&f.metric.Kind, "metric-kind", "", "proportion: the share of users with the event (default); mean: the sum of its values for each user")
	fl.StringVar(&f.metric.Direction, "metric-direction", "", "which way is expected: increase (default) or decrease")
	fl.StringVar(&f.document, "interface", "", "file that says what it can be asked for: OpenAPI (.yaml, .yml, .json), or protobuf (.proto, or a FileDescriptorSet)")
	fl.StringArrayVar(&f.attest, "attest", nil, "file with a Sigstore bundle about the artifact: a signature, provenance, a list of components, test results; may be given several times")
	fl.StringVar(&f.commit, "committed", "", "when the newest commit in it was made, RFC 3339 (default what a Go program says of itself)")
	fl.BoolVarP(&f.watch, "watch", "w", false, "follow the rollout to its end")
}

func rollforwardCommand(e *env) *cobra.Command {
	f := releaseFlags{order: wire.Release{Lane: "forward"}}
	cmd := &cobra.Command{
		Use:   "rollforward SERVICE",
		Short: "Replace a version that is being rolled out by its fix",
		Long: `Gives up the rollout in flight and takes a fix straight to the rings that it had reached, then on through the others as
planned. Users of these rings have the version before until the fix is ready.`,
		Example: "  ringfence rollforward shop --version v4 --artifact ./shop-v4 --reason \"v3 forgets carts\"",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(e, cmd, args[0]) },
	}
	f.common(cmd)
	return cmd
}

func redeployCommand(e *env) *cobra.Command {
	var reason string
	var watch bool
	cmd := &cobra.Command{
		Use:   "redeploy SERVICE",
		Short: "Replace what everyone has by what was last known good",
		Long: `Takes what was last known good before the stable version straight to everyone: no ring, no gate, no freeze. What it
replaces counts as bad from then on, and is not released again unless forced.`,
		Example: "  ringfence redeploy shop --reason \"v3 loses orders\" --watch",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needReason(reason, "what runs is not good"); err != nil {
				return err
			}
			out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Rollout, error) {
				return c.Redeploy(ctx, args[0], reason)
			})
			return e.started(cmd, out, watch, err)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why what runs is not good")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "follow the rollout to its end")
	return cmd
}

func (f *releaseFlags) run(e *env, cmd *cobra.Command, service string) error {
	if err := f.check(); err != nil {
		return err
	}
	out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Rollout, error) {
		return f.release(ctx, c, service)
	})
	return e.started(cmd, out, f.watch, err)
}

// check says what is wrong before anything is uploaded.
func (f *releaseFlags) check() error {
	o := &f.order
	lane, known := lanes[f.hotfix]
	if !known {
		return errs.E(errs.Invalid, "--hotfix %s: expected sev0, sev1, sev2 or sev3", f.hotfix)
	}
	if o.Lane == "" {
		o.Lane = lane
	}
	if f.metric.Event != "" {
		o.Metric = &f.metric
	}
	switch {
	case f.metric.Event == "" && (f.metric.Kind != "" || f.metric.Direction != ""):
		return errs.E(errs.Invalid, "--metric: missing, expected the event that is measured")
	case o.Version == "" && (f.artifact != "" || o.Config == "" && !o.NoConfig && o.Schema == ""):
		return errs.E(errs.Invalid, "--version: missing, expected the version of the artifact").
			Next("Name the version with --version; only a config or a schema goes without one, with --config or --schema.")
	case len(f.attest) > 0 && o.Version == "":
		return errs.E(errs.Invalid, "--attest: expected --version, the version whose artifact it is about")
	case f.document != "" && f.artifact == "":
		return errs.E(errs.Invalid, "--interface: it is made with its release, expected --artifact beside it")
	case o.Config != "" && o.NoConfig:
		return errs.E(errs.Invalid, "--config and --no-config exclude each other")
	case len(o.Hit) > 0 && o.Lane != "sev0" && o.Lane != "sev1":
		return errs.E(errs.Invalid, "--units: only --hotfix sev0 and --hotfix sev1 go to some units first")
	case o.Lane == "forward":
		return needReason(o.Reason, "the version in flight is replaced")
	case o.Lane != "":
		return needReason(o.Reason, "it cannot wait")
	case o.Force:
		return needReason(o.Reason, "it is released again though it was taken back")
	case o.ThroughFreeze:
		return needReason(o.Reason, "it goes through freezes")
	}
	return nil
}

func needReason(reason, why string) error {
	if strings.TrimSpace(reason) != "" {
		return nil
	}
	return errs.E(errs.Invalid, "--reason: missing, expected why %s", why).Next("Add --reason \"…\"; it is recorded.")
}

func (f *releaseFlags) release(ctx context.Context, c *client.Client, service string) (wire.Rollout, error) {
	var err error
	if f.order.Env, err = pairs("--env", f.env); err != nil {
		return wire.Rollout{}, err
	}
	if f.order.Committed, err = committed(f.commit, f.artifact); err != nil {
		return wire.Rollout{}, err
	}
	if f.artifact != "" {
		stored, err := c.PutFile(ctx, f.artifact)
		if err != nil {
			return wire.Rollout{}, err
		}
		f.order.Digest = stored.Digest
	}
	if f.document != "" {
		stored, err := c.PutFile(ctx, f.document)
		if err != nil {
			return wire.Rollout{}, err
		}
		f.order.Interface = &wire.Interface{Format: formatOf(f.document), Digest: stored.Digest}
	}
	for _, file := range f.attest {
		stored, err := c.PutFile(ctx, file)
		if err != nil {
			return wire.Rollout{}, err
		}
		f.order.Attestations = append(f.order.Attestations, stored.Digest)
	}
	return c.Release(ctx, service, f.order)
}

// formatOf is the format of an interface by its file's name.
func formatOf(file string) string {
	switch filepath.Ext(file) {
	case ".yaml", ".yml", ".json":
		return "openapi"
	}
	return "protobuf"
}

// committed is when the newest commit in an artifact was made: as it is said, else as the build of a Go program keeps it, else zero.
func committed(said, artifact string) (time.Time, error) {
	if said != "" {
		t, err := time.Parse(time.RFC3339, said)
		if err != nil {
			return t, errs.E(errs.Invalid, "--committed %q: expected a time such as 2026-11-02T15:04:05Z", said)
		}
		return t, nil
	}
	info, err := buildinfo.ReadFile(artifact)
	if artifact == "" || err != nil {
		return time.Time{}, nil // no Go program: nothing is known
	}
	for _, s := range info.Settings {
		if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
			return t, nil
		}
	}
	return time.Time{}, nil
}

// started tells of a rollout that was asked for, or follows it.
func (e *env) started(cmd *cobra.Command, out wire.Rollout, watch bool, err error) error {
	if err != nil {
		return err
	}
	if watch {
		return e.watch(cmd, out.Rollout.ID)
	}
	return e.show(cmd, out, func(w io.Writer) {
		fmt.Fprintf(w, "rollout/%s %s: %s\n", out.Rollout.ID, out.Rollout.Phase, printable(out.Waiting))
	})
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
