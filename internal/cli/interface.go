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

	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/contract"
)

func interfaceCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:   "interface",
		Short: "See what services can be asked for, who asks, and what a release would break",
		Long: `A release may carry its interface, OpenAPI or protobuf. It is compared with those that are served before its rollout begins, and refused
when it breaks an operation that somebody calls. Who calls is counted by gateways: instances say who they are in the header
Ringfence-Caller, with the value of RINGFENCE_CALLER from their environment.`,
		Example: "  ringfence interface list\n  ringfence interface show shop\n  ringfence interface check shop v3\n  ringfence interface approve shop v3 \"GET /old\" --reason \"its one caller is gone\"",
	})
	cmd.AddCommand(interfaceList(e), interfaceShow(e), interfaceCheck(e), interfaceApprove(e))
	return cmd
}

func interfaceList(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List services with their interfaces and callers", Example: "  ringfence interface list", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]contract.Overview, error) {
				services, err := c.Services(ctx)
				if err != nil {
					return nil, err
				}
				all := make([]contract.Overview, len(services))
				for i, s := range services {
					if all[i], err = c.Interface(ctx, s.Name); err != nil {
						return nil, err
					}
				}
				return all, nil
			})
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				var rows [][]string
				for _, o := range all {
					var versions, callers []string
					for _, v := range o.Versions {
						versions = append(versions, v.Version+" "+strings.TrimSpace(v.Format+" "+strconv.Itoa(v.Operations)))
					}
					deprecated := 0
					for _, u := range o.Operations {
						if !u.Deprecated.IsZero() {
							deprecated++
						}
						for _, c := range u.Callers {
							if name := callerName(c); !slices.Contains(callers, name) {
								callers = append(callers, name)
							}
						}
					}
					slices.Sort(callers)
					rows = append(rows, []string{o.Service, o.Rule.Rule, orDash(strings.Join(versions, ", ")), strconv.Itoa(deprecated), orDash(printable(strings.Join(callers, ", ")))})
				}
				table(w, []string{"SERVICE", "RULE", "SERVED, OPERATIONS", "DEPRECATED", "CALLERS"}, rows)
			})
		},
	}
}

func callerName(c contract.Caller) string { return strings.TrimSuffix(c.Service+"/"+c.Version, "/") }

func interfaceShow(e *env) *cobra.Command {
	deprecated := false
	cmd := &cobra.Command{
		Use: "show SERVICE", Short: "Print a service's operations, which are deprecated, and who calls each", Example: "  ringfence interface show shop\n  ringfence interface show shop --deprecated",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (contract.Overview, error) {
				return c.Interface(ctx, args[0])
			})
			if err != nil {
				return err
			}
			if deprecated {
				o.Operations = slices.DeleteFunc(o.Operations, func(u contract.Usage) bool { return u.Deprecated.IsZero() })
			}
			return e.show(cmd, o, func(w io.Writer) { showInterface(w, o) })
		},
	}
	cmd.Flags().BoolVar(&deprecated, "deprecated", false, "only what is deprecated")
	return cmd
}

func showInterface(w io.Writer, o contract.Overview) {
	known := "counted over all of it"
	if !o.Known {
		known = "not counted over all of it yet"
	}
	fmt.Fprintf(w, "%s  rule %s; calls of the last %s, %s\n\n", colours(w).bold(printable(o.Service)), o.Rule.Rule, o.Rule.Window, known)
	var rows [][]string
	for _, u := range o.Operations {
		state := ""
		if !u.Deprecated.IsZero() {
			state = "since " + u.Deprecated.Format(time.DateOnly)
		}
		if !u.Sunset.IsZero() {
			state += ", sunset " + u.Sunset.Format(time.DateOnly)
		}
		name := u.Name
		if name == "" {
			name = "(of a version without an interface)"
		}
		rows = append(rows, []string{printable(name), orDash(strings.Join(u.In, ", ")), orDash(state), orDash(callersOf(u.Callers))})
	}
	table(w, []string{"OPERATION", "IN", "DEPRECATED", "CALLERS"}, rows)
}

// callersOf names the latest callers with how often they called and when last.
func callersOf(all []contract.Caller) string {
	var parts []string
	for _, c := range all[:min(len(all), 5)] {
		parts = append(parts, fmt.Sprintf("%s %d× (%s)", printable(callerName(c)), c.Requests, ago(c.Last)))
	}
	if more := len(all) - len(parts); more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ", ")
}

func interfaceCheck(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "check SERVICE VERSION", Short: "Compare a release's interface with those that are served", Example: "  ringfence interface check shop v3",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (contract.Report, error) {
				return c.CheckInterface(ctx, args[0], args[1])
			})
			if err != nil {
				return err
			}
			return e.show(cmd, r, func(w io.Writer) {
				verdict := "may be rolled out"
				if !r.Passes {
					verdict = "is refused"
				}
				fmt.Fprintf(w, "%s %s %s: %d breaks of %s, rule %s\n", printable(r.Service), printable(r.Version), verdict, len(r.Breaks), orDash(strings.Join(r.Against, ", ")), r.Rule.Rule)
				var rows [][]string
				for _, b := range r.Breaks {
					stops := "no"
					if b.Stops {
						stops = "yes"
					}
					rows = append(rows, []string{orDash(printable(b.Operation)), printable(b.Text), stops, printable(b.Why), orDash(callersOf(b.Callers))})
				}
				if rows != nil {
					table(w, []string{"OPERATION", "BREAK", "STOPS", "WHY", "CALLERS"}, rows)
				}
			})
		},
	}
}

func interfaceApprove(e *env) *cobra.Command {
	reason := ""
	cmd := &cobra.Command{
		Use: "approve SERVICE VERSION OPERATION --reason REASON", Short: "Let a release break an operation that somebody may call",
		Long:    "The approval is for one version, and on the record. An operation is named as `interface check` prints it; * stands for every break of the version.",
		Example: "  ringfence interface approve shop v3 \"GET /old\" --reason \"its one caller is gone\"\n  ringfence release shop --version v3",
		Args:    cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needReason(reason, "callers may lose it"); err != nil {
				return err
			}
			a, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (contract.Approval, error) {
				return c.ApproveBreak(ctx, args[0], args[1], args[2], reason)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, a, func(w io.Writer) {
				fmt.Fprintf(w, "%s %s may break %s; release it: ringfence release %s --version %s\n", args[0], a.Version, printable(a.Operation), args[0], a.Version)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why its callers may lose it, for the record")
	return cmd
}
