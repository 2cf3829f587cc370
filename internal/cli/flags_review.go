package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/switchboard"
)

func flagsProposeCommand(e *env) *cobra.Command {
	var path, reason string
	cmd := &cobra.Command{
		Use: "propose -f FILE", Short: "Make a flag set be as in a file, with the review that it needs",
		Long: `Makes a flag set that is declared already be as in a file, as apply does. Where it names reviewers for an environment in which this
changes an answer, it becomes a change request, which is applied when they have approved it.`,
		Example: "  ringfence flags propose -f flags.yaml --reason \"a new checkout\"",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sources, err := manifest.Load([]string{path}, cmd.InOrStdin())
			if err != nil {
				return err
			}
			set, problems := manifest.Read(sources)
			if len(problems) > 0 {
				return errs.Wrap(errs.Invalid, manifest.Problems(problems), "the flags cannot be read")
			}
			if len(set.Resources) != 1 || set.Resources[0].Kind != resource.KindFlagSet {
				return errs.E(errs.Invalid, "%s: expected one FlagSet, or a file in flagd's format", path)
			}
			r := set.Resources[0]
			return e.edited(cmd, "applied flagset/"+r.Metadata.Name, func(ctx context.Context, c *client.Client) (switchboard.Edited, error) {
				return c.Propose(ctx, r.Metadata.Name, r.Spec, reason)
			})
		},
	}
	cmd.Flags().StringVarP(&path, "filename", "f", "", "file of the set, or - for standard input")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	_ = cmd.MarkFlagRequired("filename") // the flag is there: it was added above
	return cmd
}

func flagsRequestsCommand(e *env) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "requests [SET]", Short: "List change requests that wait for review",
		Example: "  ringfence flags requests\n  ringfence flags requests shop --all",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]switchboard.Request, error) {
				return c.ChangeRequests(ctx, strings.Join(args, ""), !all)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, list, func(w io.Writer) {
				rows := make([][]string, len(list))
				for i, r := range list {
					rows[i] = []string{r.ID, requestState(r), fmt.Sprint(len(r.Changes)), strings.Join(r.Environments, ", "), r.Missing, r.By, ago(r.At), r.Reason}
				}
				table(w, []string{"REQUEST", "STATE", "CHANGES", "ENVIRONMENTS", "WAITS FOR", "BY", "MADE", "WHY"}, rows)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those that were decided on")
	return cmd
}

func requestState(r switchboard.Request) string {
	if r.Stale {
		return r.State + ", stale"
	}
	return r.State
}

func flagsRequestCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "request REQUEST", Short: "Show a change request", Example: "  ringfence flags request shop-1", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (switchboard.Request, error) {
				return c.ChangeRequest(ctx, args[0])
			})
			if err != nil {
				return err
			}
			return e.show(cmd, r, func(w io.Writer) { showRequest(w, r) })
		},
	}
}

func showRequest(w io.Writer, r switchboard.Request) {
	c := colours(w)
	fmt.Fprintf(w, "%s  %s, by %s %s\n", c.bold(r.ID), requestState(r), printable(r.By), ago(r.At))
	if r.Reason != "" {
		fmt.Fprintln(w, printable(r.Reason))
	}
	for _, ch := range r.Changes {
		fmt.Fprintf(w, "  %s: %s → %s\n", printable(ch.Path), c.red(orNothing(ch.Old)), c.green(orNothing(ch.New)))
	}
	for _, a := range r.Approved {
		fmt.Fprintf(w, "  approved by %s %s %s\n", printable(a.By), ago(a.At), printable(a.Why))
	}
	if r.Missing != "" {
		fmt.Fprintf(w, "  waits for %s\n", printable(r.Missing))
	}
}

func flagsReviewCommand(e *env, refuse bool) *cobra.Command {
	var reason string
	verb, short := "approve", "Approve a change request; the last approval that is missing applies it"
	if refuse {
		verb, short = "refuse", "Refuse a change request, or take one's own back"
	}
	cmd := &cobra.Command{
		Use: verb + " REQUEST", Short: short, Example: fmt.Sprintf("  ringfence flags %s shop-1", verb), Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (switchboard.Request, error) {
				return c.Review(ctx, args[0], reason, refuse)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, r, func(w io.Writer) { showRequest(w, r) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}
