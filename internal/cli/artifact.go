package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/vetting"
)

func artifactCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:   "artifact",
		Short: "See and verify what is known of artifacts: who vouches for them, what they are made of",
		Long: `Somebody vouches for an artifact with a Sigstore bundle: a signature, or a signed statement about how it was built, what it is made
of, which tests it passed. Resources of kind Admission say what is demanded before which ring.`,
		Example: "  ringfence artifact list shop\n  ringfence artifact show shop v2\n  ringfence artifact verify --bundle shop.sigstore.json --key ci.pub ./shop",
	})
	cmd.AddCommand(artifactList(e), artifactShow(e), artifactAdd(e), artifactComponents(e))
	return cmd
}

func artifactList(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "list SERVICE", Short: "List the artifacts of a service's releases, and how each stands", Example: "  ringfence artifact list shop", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]vetting.Facts, error) {
				releases, err := c.Releases(ctx, args[0])
				if err != nil {
					return nil, err
				}
				slices.SortFunc(releases, func(a, b resource.Release) int { return b.Created.Compare(a.Created) })
				all := make([]vetting.Facts, 0, len(releases))
				for _, r := range releases[:min(len(releases), 50)] {
					f, err := c.Facts(ctx, r.Digest)
					if err != nil {
						return nil, err
					}
					if !slices.ContainsFunc(all, func(o vetting.Facts) bool { return o.Digest == f.Digest }) {
						all = append(all, f)
					}
				}
				return all, nil
			})
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				var rows [][]string
				for _, f := range all {
					var versions []string
					for _, r := range f.Releases {
						if r.Service == args[0] {
							versions = append(versions, r.Version)
						}
					}
					rows = append(rows, []string{strings.Join(versions, ", "), f.Digest[:19] + "…", standing(f), strconv.Itoa(f.Components), strconv.Itoa(len(f.Findings)), orDash(ringsOf(f, args[0]))})
				}
				table(w, []string{"VERSION", "ARTIFACT", "STANDS", "COMPONENTS", "VULNERABILITIES", "RINGS"}, rows)
			})
		},
	}
}

func ringsOf(f vetting.Facts, service string) string {
	for _, r := range f.Runs {
		if r.Service == service {
			return strings.Join(r.Rings, ", ")
		}
	}
	return ""
}

// standing is how an artifact stands, in a word or two.
func standing(f vetting.Facts) string {
	if len(f.Policies) == 0 {
		return "not verified: nothing is demanded"
	}
	var refused []string
	for _, p := range f.Policies {
		for _, d := range p.Decisions {
			if !d.Admitted && !slices.Contains(refused, d.Ring) {
				refused = append(refused, d.Ring)
			}
		}
	}
	if len(refused) == 0 {
		return "admitted to every ring"
	}
	return "refused by " + strings.Join(refused, ", ")
}

// digestFor is the digest that is given, or that of a release.
func digestFor(ctx context.Context, c *client.Client, args []string) (string, error) {
	if len(args) == 1 {
		if !resource.ValidDigest(args[0]) {
			return "", errs.E(errs.Invalid, "%q: expected sha256: and 64 hexadecimal digits, or a service and a version", args[0])
		}
		return args[0], nil
	}
	releases, err := c.Releases(ctx, args[0])
	if err != nil {
		return "", err
	}
	for _, r := range releases {
		if r.Version == args[1] {
			return r.Digest, nil
		}
	}
	return "", errs.E(errs.Missing, "there is no release %s of %s", args[1], args[0])
}

func artifactShow(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "show SERVICE VERSION | show DIGEST", Short: "Print what is known of an artifact: who vouches for it, what is missing, its vulnerabilities, where it runs",
		Example: "  ringfence artifact show shop v2", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (vetting.Facts, error) {
				digest, err := digestFor(ctx, c, args)
				if err != nil {
					return vetting.Facts{}, err
				}
				return c.Facts(ctx, digest)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, f, func(w io.Writer) { showFacts(w, f) })
		},
	}
}

func showFacts(w io.Writer, f vetting.Facts) {
	fmt.Fprintf(w, "%s  %s\n", colours(w).bold(f.Digest), standing(f))
	for _, r := range f.Releases {
		fmt.Fprintf(w, "  is      %s %s, released %s by %s\n", r.Service, r.Version, r.Created.Format(time.DateOnly), printable(r.By))
	}
	for _, r := range f.Runs {
		fmt.Fprintf(w, "  runs    in %s, for rings %s, %g %% of %s's users\n", strings.Join(r.Units, ", "), orDash(strings.Join(r.Rings, ", ")), r.Share, r.Service)
	}
	for _, b := range f.Bundles {
		if len(f.Policies) == 0 {
			fmt.Fprintf(w, "  brought %s, not verified: no Admission says who may vouch\n", printable(orSignature(b.Type)))
		}
	}
	for _, p := range f.Policies {
		showPolicy(w, p)
	}
	fmt.Fprintf(w, "  made of %s", counted(f.Components, "listed component", "listed components"))
	if f.Database == nil {
		fmt.Fprintf(w, "; vulnerabilities are not known: no database was imported\n")
		return
	}
	fmt.Fprintf(w, "; %s by the database of %s\n", counted(len(f.Findings), "known vulnerability", "known vulnerabilities"), f.Database.Newest.Format(time.DateOnly))
	var rows [][]string
	for _, v := range f.Findings {
		rows = append(rows, []string{v.ID, v.Severity.String(), printable(v.Component + " " + v.Version), orDash(printable(strings.Join(v.Fixed, ", "))), printable(v.Summary)})
	}
	if len(rows) > 0 {
		fmt.Fprintln(w)
		table(w, []string{"VULNERABILITY", "SEVERITY", "IN", "FIXED IN", "WHAT"}, rows)
	}
}

func showPolicy(w io.Writer, p vetting.Policy) {
	for _, one := range p.Proofs {
		if v := one.Verified; v != nil {
			who := v.Key
			if v.Identity != "" {
				who = v.Identity + " of " + v.Issuer
			}
			fmt.Fprintf(w, "  proven  %s by %s (%s)\n", printable(orSignature(v.Type)), v.Signer, printable(who))
			if b := one.Build; b != nil {
				fmt.Fprintf(w, "          built by %s from %s at %s\n", printable(b.Builder), printable(orDash(b.Source)), printable(orDash(b.Commit)))
			}
			continue
		}
		fmt.Fprintf(w, "  refused %s: %s\n", one.Bundle[:19]+"…", printable(one.Why))
	}
	for _, d := range p.Decisions {
		word := "may"
		if !d.Admitted {
			word = "may not"
		}
		fmt.Fprintf(w, "  ring    %s %s get it, by %s\n", d.Ring, word, p.Name)
		for _, m := range d.Missing {
			fmt.Fprintf(w, "          missing: %s\n", printable(m))
		}
		for _, x := range d.Excepted {
			fmt.Fprintf(w, "          excepted: %s\n", printable(x))
		}
	}
}

func orSignature(predicateType string) string {
	if predicateType == "" {
		return "a signature"
	}
	return predicateType
}

func artifactAdd(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "add SERVICE VERSION BUNDLE…", Short: "Add Sigstore bundles to the evidence of a release's artifact", Args: cobra.MinimumNArgs(3),
		Long:    "Adds what came to be known after a release was made, such as a test result. A rollout that waits for it goes on by itself.",
		Example: "  ringfence artifact add shop v2 tests.sigstore.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (all []vetting.Bundle, err error) {
				digest, err := digestFor(ctx, c, args[:2])
				if err != nil {
					return nil, err
				}
				for _, file := range args[2:] {
					if all, err = c.Attest(ctx, digest, file); err != nil {
						return nil, err
					}
				}
				return all, nil
			})
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				fmt.Fprintf(w, "%s %s has %s; see: ringfence artifact show %s %s\n", args[0], args[1], counted(len(all), "bundle", "bundles"), args[0], args[1])
			})
		},
	}
}

func artifactComponents(e *env) *cobra.Command {
	search := ""
	cmd := &cobra.Command{
		Use: "components SERVICE VERSION", Short: "List what a release's artifact is made of", Example: "  ringfence artifact components shop v2 --search log4j", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Components, error) {
				digest, err := digestFor(ctx, c, args)
				if err != nil {
					return wire.Components{}, err
				}
				return c.Components(ctx, digest, search)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, out, func(w io.Writer) {
				var rows [][]string
				for _, c := range out.Items {
					rows = append(rows, []string{printable(c.Name), orDash(printable(c.Version)), orDash(printable(strings.Join(c.Licenses, ", "))), orDash(printable(c.PURL))})
				}
				table(w, []string{"COMPONENT", "VERSION", "LICENCE", "PACKAGE"}, rows)
				if more := out.Total - len(out.Items); more > 0 {
					fmt.Fprintf(w, "and %d more; narrow it down with --search\n", more)
				}
			})
		},
	}
	cmd.Flags().StringVar(&search, "search", "", "part of a name, version, package URL or licence")
	return cmd
}
