package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/resource"
)

func getCommand(e *env) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "get KIND [NAME]",
		Short: "Print what is declared",
		Long: `Prints the resources of a kind, or one of them. Kinds are service, segment, ringplan, group, freeze, notifier, release
and config, in the singular or plural.`,
		Example: "  ringfence get services\n  ringfence get service shop -o yaml\n  ringfence get freezes\n  ringfence get release shop/v2 --json",
		Args:    cobra.RangeArgs(1, 2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []string{"services", "segments", "ringplans", "groups", "freezes", "notifiers", "releases", "configs"}, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains([]string{"table", "yaml", "json"}, format) {
				return errs.E(errs.Invalid, "-o %s: expected table, yaml or json", format)
			}
			set, err := getResources(cmd.Context(), e, args)
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			switch {
			case (e.json || format == "json") && len(args) == 2:
				return printJSON(w, set[0])
			case e.json || format == "json":
				return printJSON(w, set)
			case format == "yaml":
				return manifest.Write(w, set)
			}
			return resourceTable(w, set)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "table", "table, yaml or json")
	return cmd
}

func getResources(ctx context.Context, e *env, args []string) ([]resource.Resource, error) {
	kind, err := resource.KindNamed(args[0])
	if err != nil {
		return nil, err
	}
	c, err := e.client()
	if err != nil {
		return nil, err
	}
	if len(args) == 1 {
		return c.Resources(ctx, kind)
	}
	r, err := c.Resource(ctx, kind, args[1])
	return []resource.Resource{r}, err
}

func resourceTable(w io.Writer, set []resource.Resource) error {
	rows := make([][]string, len(set))
	for i, r := range set {
		about, err := about(r)
		if err != nil {
			return err
		}
		rows[i] = []string{r.Metadata.Name, about, labels(r.Metadata.Labels)}
	}
	table(w, []string{"NAME", "ABOUT", "LABELS"}, rows)
	return nil
}

// about says what a resource is in a few words.
func about(r resource.Resource) (string, error) {
	switch r.Kind {
	case resource.KindService:
		s, err := resource.As[resource.Service](r)
		return fmt.Sprintf("host %s, plan %s, owner %s", orDash(s.Route.Host), s.Plan, orDash(s.Owner)), err
	case resource.KindRingPlan:
		p, err := resource.As[resource.RingPlan](r)
		names := make([]string, len(p.Rings))
		for i, ring := range p.Rings {
			names[i] = ring.Name
		}
		return strings.Join(names, " → "), err
	case resource.KindRelease:
		rel, err := resource.As[resource.Release](r)
		text := fmt.Sprintf("%.19s, by %s, %s", rel.Digest, rel.By, rel.Created.Format(time.RFC3339))
		if rel.Schema != nil {
			text += ", understands " + strings.Join(rel.Schema.Understands, " and ") + " of " + rel.Schema.Database
		}
		return text, err
	}
	return aboutMore(r)
}

func aboutMore(r resource.Resource) (string, error) {
	switch r.Kind {
	case resource.KindConfig:
		c, err := resource.As[resource.Config](r)
		return fmt.Sprintf("%d values, %d files, by %s, %s", len(c.Env), len(c.Files), c.By, c.Created.Format(time.RFC3339)), err
	case resource.KindDatabase:
		d, err := resource.As[resource.Database](r)
		return fmt.Sprintf("schema %s, owner %s", d.Defaults().Schema, orDash(d.Owner)), err
	case resource.KindGroup:
		g, err := resource.As[resource.Group](r)
		return few(g.Members, 5), err
	case resource.KindFreeze:
		f, err := resource.As[resource.Freeze](r)
		return fmt.Sprintf("%s, for %s: %s", windowText(f.When), concerned(f), f.Reason), err
	case resource.KindRotation:
		r, err := resource.As[resource.Rotation](r)
		names := make([]string, len(r.People))
		for i, p := range r.People {
			names[i] = p.Name
		}
		return fmt.Sprintf("%d layers, %d steps: %s", len(r.Layers), len(r.Steps), few(names, 5)), err
	case resource.KindScrape:
		s, err := resource.As[resource.Scrape](r)
		n := 0
		for _, t := range s.Static {
			n += len(t.Targets)
		}
		return fmt.Sprintf("%d targets, %d files, %d addresses, every %s", n, len(s.Files), len(s.HTTP), s.Defaults().Interval), err
	case resource.KindAccessPolicy:
		p, err := resource.As[resource.AccessPolicy](r)
		return fmt.Sprintf("%d lines: %s", strings.Count(p.Rules, "\n")+1, orDash(p.Note)), err
	case resource.KindAccessRules:
		a, err := resource.As[resource.AccessRules](r)
		return fmt.Sprintf("no standing access: %t, %d rules of grants", a.NoStanding, len(a.Grants)), err
	case resource.KindNotifier:
		n, err := resource.As[resource.Notifier](r)
		return fmt.Sprintf("%s of %s", n.To.Channel(), few(n.Defaults().Events, 5)), err
	}
	return aboutAlerts(r)
}

func aboutAlerts(r resource.Resource) (string, error) {
	switch r.Kind {
	case resource.KindAlertRules:
		a, err := resource.As[resource.AlertRules](r)
		n := 0
		for _, g := range a.Groups {
			n += len(g.Rules)
		}
		return fmt.Sprintf("%d groups, %d rules", len(a.Groups), n), err
	case resource.KindAlertRouting:
		a, err := resource.As[resource.AlertRouting](r)
		if a.Route == nil {
			return "to the owners", err
		}
		to := a.Route.To
		if to == nil {
			to = []string{"the owners"}
		}
		return fmt.Sprintf("to %s, %d routes below", few(to, 5), len(a.Route.Routes)), err
	}
	return aboutSegment(r)
}

func aboutSegment(r resource.Resource) (string, error) {
	s, err := resource.As[resource.Segment](r)
	switch {
	case s.Audience.Users != nil:
		return fmt.Sprintf("%d users", len(s.Audience.Users)), err
	case s.Audience.Tenants != nil:
		return "tenants " + few(s.Audience.Tenants, 5), err
	case s.Audience.Regions != nil:
		return "regions " + few(s.Audience.Regions, 5), err
	case s.Audience.Percent != nil:
		return fmt.Sprintf("%g percent", *s.Audience.Percent), err
	case s.Audience.Segment != "":
		return "segment " + s.Audience.Segment, err
	case s.Audience.Any != nil:
		return fmt.Sprintf("any of %d audiences", len(s.Audience.Any)), err
	}
	return "a rule", err
}

// few lists the first names of a list, and how many there are beyond them.
func few(list []string, n int) string {
	if len(list) <= n {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:n], ", "), len(list)-n)
}

func windowText(w resource.Window) string {
	zone := w.Zone
	if zone == "" {
		zone = "UTC"
	}
	text := fmt.Sprintf("%s to %s %s", w.Start, w.End, zone)
	if w.Rule != "" {
		text += ", " + w.Rule
	}
	return text
}

func concerned(f resource.Freeze) string {
	whom := f.Services
	if len(f.Labels) > 0 {
		whom = append(whom[:len(whom):len(whom)], labels(f.Labels))
	}
	if len(whom) == 0 {
		return "all"
	}
	return few(whom, 5)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func labels(m map[string]string) string {
	pairs := make([]string, 0, len(m))
	for k, v := range m {
		pairs = append(pairs, k+"="+v)
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}

func deleteCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "delete KIND NAME",
		Short:   "Delete a resource that nothing refers to",
		Example: "  ringfence delete segment testers",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, err := resource.KindNamed(args[0])
			if err != nil {
				return err
			}
			key := resource.Key(kind, args[1])
			_, err = ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (struct{}, error) {
				return struct{}{}, c.Delete(ctx, kind, args[1])
			})
			if err != nil {
				return err
			}
			answer := map[string]string{"kind": kind, "name": args[1], "action": "deleted"}
			return e.show(cmd, answer, func(w io.Writer) { fmt.Fprintln(w, key+" deleted") })
		},
	}
}

func exportCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "export",
		Short:   "Print everything declared, as YAML to apply again",
		Example: "  ringfence export > everything.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			if !e.json {
				return c.Export(cmd.Context(), cmd.OutOrStdout())
			}
			all := []resource.Resource{}
			for _, kind := range resource.Declared {
				set, err := c.Resources(cmd.Context(), kind)
				if err != nil {
					return err
				}
				all = append(all, set...)
			}
			return printJSON(cmd.OutOrStdout(), all)
		},
	}
}
