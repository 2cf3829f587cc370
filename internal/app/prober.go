package app

import (
	"context"
	"log/slog"
	"net/url"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/probe"
	"github.com/ringfence/ringfence/internal/probing"
	"github.com/ringfence/ringfence/internal/synthetic"
)

// ProberConfig configures a prober.
type ProberConfig struct {
	Name      string
	Server    string // URL of the control plane
	TokenFile string
	Secrets   string // folder of what probes sign in with
	Logger    *slog.Logger
}

// Prober looks at what the control plane says and tells it what it sees, until ctx ends. While the control plane is away it
// goes on with what it knows.
func Prober(ctx context.Context, c ProberConfig) error {
	if err := guardServer(c.Server); err != nil {
		return err
	}
	token, err := access.ReadToken(c.TokenFile)
	if err != nil {
		return err
	}
	control := client.New(client.Options{URL: c.Server, Token: token, Patience: -1})
	jobs := &asked{control: control, name: c.Name}
	if _, err := jobs.Jobs(ctx); errs.Is(err, errs.Denied) {
		return err // it will not be let in later either; a control plane that is away will come back
	}
	out := &probing.Outbox{Logger: c.Logger, Push: func(ctx context.Context, rounds []synthetic.Round, dropped int64) error {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		return control.ReportRounds(ctx, c.Name, rounds, dropped)
	}}
	loop := &probing.Loop{Name: c.Name, Runner: &probe.Runner{Secrets: c.Secrets}, Work: jobs, Take: out.Add, Logger: c.Logger}
	c.Logger.Info("prober is up", "name", c.Name, "server", c.Server)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return loop.Run(ctx) })
	group.Go(func() error { return out.Run(ctx) })
	return group.Wait()
}

// asked is what the control plane says is to be looked at.
type asked struct {
	control *client.Client
	name    string
}

func (a *asked) Jobs(ctx context.Context) ([]synthetic.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return a.control.ProbeJobs(ctx, a.name)
}

func proberCommand() *cobra.Command {
	var c ProberConfig
	cmd := &cobra.Command{
		Use:   "prober --name NAME",
		Short: "Look at services from here, for a control plane elsewhere",
		Long: `Runs the probes that name this prober in their field from, and tells the control plane what it sees. It needs a token of role
prober that is called as the prober is. While the control plane is away it goes on, and keeps up to 20,000 rounds to tell
later. What probes sign in with is read from files in its own folder of secrets.`,
		Example: `  (umask 077; ringfence token create paris --role prober > paris.token)
  ringfence prober --server https://ringfence.example.com --token-file paris.token --name paris`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			root := cmd.Root().PersistentFlags()
			c.Server, c.TokenFile = root.Lookup("server").Value.String(), root.Lookup("token-file").Value.String()
			c.Logger = logger(cmd)
			if c.Server == "" {
				c.Server = "http://" + listenDefault
			}
			if c.TokenFile == "" {
				return errs.E(errs.Invalid, "--token-file is missing").Next("Make a token with: ringfence token create %s --role prober", c.Name)
			}
			if u, err := url.Parse(c.Server); err != nil || u.Host == "" {
				return errs.E(errs.Invalid, "server %q: expected a URL such as https://ringfence.example.com", c.Server)
			}
			if c.Secrets == "" {
				c.Secrets = filepath.Join(dataFolder(cmd), secretsFolder)
			}
			return Prober(cmd.Context(), c)
		},
	}
	cmd.Flags().StringVar(&c.Name, "name", "", "its name, which probes and its token have")
	cmd.Flags().StringVar(&c.Secrets, "secrets", "", "folder of secrets (default secrets in the data folder)")
	_ = cmd.MarkFlagRequired("name") // the flag is there: it was added above
	return cmd
}
