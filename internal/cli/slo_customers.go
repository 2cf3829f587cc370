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

	"github.com/ringfence/ringfence/internal/account"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
)

// customersEvery is how often watched customers are asked for: minutes are told once they are over.
const customersEvery = 5 * time.Second

func sloCustomersCommand(e *env) *cobra.Command {
	var since time.Duration
	var name string
	var limit int
	var watch bool
	cmd := &cobra.Command{
		Use: "customers [SERVICE]", Short: "See which customers have bad minutes, and where",
		Long: `A minute of an account is bad when too many of its requests failed or were slow, as the service declares under spec.customers. Shown are the
accounts with most bad minutes, of services whose route says to which account a request belongs (spec.route.account).`,
		Example: "  ringfence slo customers shop\n  ringfence slo customers shop --since 168h --account acme\n  ringfence slo customers -w",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if since < time.Minute || since > account.Window {
				return errs.E(errs.Invalid, "since %s: expected a duration from 1m to %.0fh", since, account.Window.Hours())
			}
			service := strings.Join(args, "")
			look := func(ctx context.Context) ([]account.Report, error) {
				return ask(ctx, e, func(ctx context.Context, c *client.Client) ([]account.Report, error) {
					return c.Customers(ctx, service, name, since, limit)
				})
			}
			if watch {
				return e.watchCustomers(cmd, look)
			}
			all, err := look(cmd.Context())
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) { showCustomers(w, all) })
		},
	}
	f := cmd.Flags()
	f.DurationVar(&since, "since", 24*time.Hour, "the time until now that is looked at, at most 672h; to the hour, beyond 48h to the day")
	f.StringVar(&name, "account", "", "only this account")
	f.IntVar(&limit, "limit", 20, "at most so many accounts of a service")
	f.BoolVarP(&watch, "watch", "w", false, "look again and again until interrupted")
	return cmd
}

// watchCustomers shows them again when they have changed, on a terminal in the same place.
func (e *env) watchCustomers(cmd *cobra.Command, look func(context.Context) ([]account.Report, error)) error {
	w, shown := cmd.OutOrStdout(), ""
	tick := time.NewTicker(customersEvery)
	defer tick.Stop()
	for {
		all, err := look(cmd.Context())
		if err != nil {
			return err
		}
		var b strings.Builder
		showCustomers(&b, all)
		if text := b.String(); text != shown {
			switch {
			case e.json:
				err = e.show(cmd, all, nil)
			case isTerminal(w):
				_, err = fmt.Fprint(w, "\x1b[H\x1b[2J")
				showCustomers(w, all)
			default:
				_, err = fmt.Fprintf(w, "%s\n%s", time.Now().UTC().Format(time.DateTime), text)
			}
			if err != nil {
				return err
			}
			shown = text
		}
		select {
		case <-cmd.Context().Done():
			return nil
		case <-tick.C:
		}
	}
}

func showCustomers(w io.Writer, all []account.Report) {
	c := colours(w)
	if len(all) == 0 {
		fmt.Fprintln(w, "no service says to which account a request belongs: declare spec.route.account, such as {header: X-Tenant}")
	}
	for i, r := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s  %s\n", c.bold(printable(r.Service)), customersWords(r))
		if len(r.Accounts) == 0 {
			continue
		}
		rows := make([][]string, len(r.Accounts))
		for i, a := range r.Accounts {
			met := "yes"
			if !a.Budget.Met {
				met = "no"
			}
			rows[i] = []string{a.Account, strconv.Itoa(a.Bad), strconv.Itoa(a.Minutes), times(a.Burn), worst(a.Worst), placesOf(a.Where), goodOf(a.Budget.Good), met}
		}
		table(w, []string{"ACCOUNT", "BAD MINUTES", "MINUTES", "BURNS", "WORST MINUTE", "BAD REQUESTS IN", "GOOD 28D", "MET"}, rows)
	}
}

func customersWords(r account.Report) string {
	if r.Known == 0 {
		return fmt.Sprintf("no account had a minute with at least %d requests since %s", r.Rule.MinRequests, r.Since.Format(time.DateTime))
	}
	return fmt.Sprintf("%d of %d accounts had bad minutes since %s; %d miss %s %% good minutes over 28 days",
		r.WithBad, r.Known, r.Since.Format(time.DateTime), r.Missed, strconv.FormatFloat(r.Rule.Objective, 'g', 6, 64))
}

func times(x float64) string {
	if x == 0 {
		return ""
	}
	return strconv.FormatFloat(x, 'f', 1, 64) + "×"
}

func goodOf(x float64) string { return strconv.FormatFloat(x, 'f', 2, 64) + " %" }

func worst(w *account.Worst) string {
	if w == nil {
		return ""
	}
	return fmt.Sprintf("%s (%d of %d)", w.At.Format("01-02 15:04"), w.Bad, w.Requests)
}

func placesOf(all []account.Where) string {
	var parts []string
	for _, w := range slices.Clone(all)[:min(3, len(all))] {
		parts = append(parts, fmt.Sprintf("%s/%s %d", w.Version, w.Ring, w.Bad))
	}
	return strings.Join(parts, ", ")
}
