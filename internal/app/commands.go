package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/ringfence/ringfence/internal/cli"
	"github.com/ringfence/ringfence/internal/demo"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
)

// The addresses of one machine; all on loopback.
const (
	listenDefault  = "127.0.0.1:7400"
	adminDefault   = "127.0.0.1:7401"
	flagsDefault   = "127.0.0.1:7402"
	gatewayDefault = "127.0.0.1:8080"
)

// databaseEnv holds the database's URL where it should not be an argument, as it may hold a password.
const databaseEnv = "RINGFENCE_DATABASE"

// Commands are those that run Ringfence itself, or a part of it; the others only speak to its API.
func Commands() []*cobra.Command {
	return []*cobra.Command{upCommand(), downCommand(), upgradeCommand(), serverCommand(), dataPlaneCommand(), restoreCommand(), proberCommand(), demoCommand(), drillCommand(), alertTestCommand(), policyTestCommand(), issuerCommand(), artifactVerifyCommand(), cli.SchemaDatabaseCommands(openSchema)}
}

func logger(cmd *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
}

func upCommand() *cobra.Command {
	var c UpConfig
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run control plane and data plane on this machine",
		Long: `Runs the control plane and the data plane as two processes, with everything kept in one folder, until it is
interrupted; the instances of your services are then stopped. One plane that dies is started again.`,
		Example: "  ringfence up\n  ringfence up --data ./state --gateway 127.0.0.1:8000",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Data, c.Out, c.Logger = dataFolder(cmd), cmd.OutOrStdout(), logger(cmd)
			if err := positive(c.Scrape, c.Step); err != nil {
				return err
			}
			return Up(cmd.Context(), c)
		},
	}
	f := cmd.Flags()
	addPlaces(cmd, &c.Database, &c.Listen, &c.URL, &c.Scrape, &c.Step)
	addMetrics(cmd, &c.Metrics)
	addLogs(cmd, &c.LogLimits)
	addRecord(cmd, &c.Record)
	f.StringVar(&c.Gateway, "gateway", gatewayDefault, "address that takes users' requests")
	f.StringVar(&c.Admin, "admin", adminDefault, "address of the data plane's health page and metrics")
	addFlags(cmd, &c.Flags, &c.FlagsLimits)
	f.StringVar(&c.Unit, "unit", "local", "name of this unit")
	addGateway(cmd, &c.Trusted, &c.Access)
	addACME(cmd, &c.ACME)
	addTLS(cmd, &c.TLS, "the gateway speaks TLS with it")
	return cmd
}

// addFlags adds the flags of who serves flags.
func addFlags(cmd *cobra.Command, addr *string, limits *FlagsLimits) {
	f := cmd.Flags()
	f.StringVar(addr, "flags", flagsDefault, "address that flags are served on, by OpenFeature's and flagd's protocols; empty for none")
	f.StringArrayVar(&limits.Origins, "flags-origin", nil, "origin of pages that may ask for flags, such as https://shop.example.com, or *; may be given several times")
	f.Float64Var(&limits.Rate, "flags-rate", 0, "requests a second that each key may ask, twice as many at once; 0 for no limit")
}

func addTLS(cmd *cobra.Command, files *TLSFiles, what string) {
	cmd.Flags().StringVar(&files.Cert, "tls-cert", "", "certificate chain in PEM; "+what)
	cmd.Flags().StringVar(&files.Key, "tls-key", "", "the certificate's key in PEM")
}

// addPlaces adds the flags of a control plane.
func addPlaces(cmd *cobra.Command, database, listen, address *string, scrape, step *time.Duration) {
	f := cmd.Flags()
	f.StringVar(database, "database", os.Getenv(databaseEnv), "postgres://… to keep state there instead of in SQLite in the data folder (default $"+databaseEnv+")")
	f.StringVar(listen, "listen", listenDefault, "address of API and UI")
	f.StringVar(address, "url", "", "where people reach the UI, such as https://ringfence.example.com, for links in messages (default the address of --listen)")
	f.DurationVar(scrape, "scrape-interval", 5*time.Second, "how often metrics are collected")
	f.DurationVar(step, "step-interval", time.Second, "how often each rollout is decided on")
}

// addMetrics adds the flags of how metrics are kept and taken in.
func addMetrics(cmd *cobra.Command, m *MetricsConfig) {
	f := cmd.Flags()
	f.StringVar(&m.URL, "metrics", "", "keep metrics in this Prometheus-compatible server, such as http://prometheus:9090, instead of in the data folder")
	f.StringVar(&m.Write, "metrics-write", "", "where that server takes remote write (default /api/v1/write below --metrics)")
	f.StringVar(&m.TokenFile, "metrics-token-file", "", "file with the token for that server")
	f.IntVar(&m.Series, "service-series", 0, "how many series of metrics a service may have in memory (default 20000)")
	cmd.MarkFlagsMutuallyExclusive("metrics", "service-series") // there, that server's own limits hold
	f.StringArrayVar(&m.Origins, "telemetry-origin", nil, "origin of pages that may send telemetry, such as https://shop.example.com, or *; may be given several times")
}

// args are the flags again, for a process that is started with them.
func (m MetricsConfig) args() []string {
	var all []string
	for flag, v := range map[string]string{"--metrics": m.URL, "--metrics-write": m.Write, "--metrics-token-file": m.TokenFile} {
		if v != "" {
			all = append(all, flag, v)
		}
	}
	if m.Series != 0 {
		all = append(all, "--service-series", strconv.Itoa(m.Series))
	}
	for _, o := range m.Origins {
		all = append(all, "--telemetry-origin", o)
	}
	return all
}

// addLogs adds the flags of the log store.
func addLogs(cmd *cobra.Command, c *LogLimits) {
	cmd.Flags().DurationVar(&c.LogRetention, "log-retention", 7*24*time.Hour, "how long log entries are kept")
	cmd.Flags().Int64Var(&c.LogDisk, "log-disk", 2048, "MiB of the disk that they take at most; then the oldest go")
}

// positive refuses intervals that are none.
func positive(scrape, step time.Duration) error {
	if scrape < 100*time.Millisecond || step < 10*time.Millisecond {
		return errs.E(errs.Invalid, "--scrape-interval %s, --step-interval %s: expected at least 100ms and 10ms", scrape, step)
	}
	return nil
}

func downCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "down",
		Short:   "Stop what runs in a data folder",
		Example: "  ringfence down\n  ringfence down --data ./state",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return Down(dataFolder(cmd)) },
	}
}

func serverCommand() *cobra.Command {
	var c ServerConfig
	cmd := &cobra.Command{
		Use:     "server",
		Short:   "Run the control plane: state, rollouts, metrics, API and UI",
		Example: "  ringfence server --data /var/lib/ringfence\n  RINGFENCE_DATABASE=postgres://ringfence:…@db/ringfence ringfence server",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Data, c.Logger = dataFolder(cmd), logger(cmd)
			if err := positive(c.Scrape, c.Step); err != nil {
				return err
			}
			// The metrics database lets others read its files. The process is the control plane's alone, and starts nothing of
			// the user's: what the data plane starts keeps the umask that it was given.
			unix.Umask(0o077)
			return Server(cmd.Context(), c)
		},
	}
	addPlaces(cmd, &c.Database, &c.Listen, &c.URL, &c.Scrape, &c.Step)
	addMetrics(cmd, &c.Metrics)
	addLogs(cmd, &c.LogLimits)
	addRecord(cmd, &c.Record)
	addTLS(cmd, &c.TLS, "needed when others than this machine shall reach the API")
	return cmd
}

func dataPlaneCommand() *cobra.Command {
	var c DataPlaneConfig
	cmd := &cobra.Command{
		Use:     "dataplane",
		Short:   "Run the data plane: gateway, instances and flags",
		Long:    "Serves users and their flags and keeps instances running, with or without a control plane. Ended and started again, it adopts\nthe instances that it finds.",
		Example: "  ringfence dataplane --data /var/lib/ringfence-dataplane --server http://127.0.0.1:7400 --token-file dataplane.token",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Data, c.Logger = dataFolder(cmd), logger(cmd)
			if c.TokenFile == "" {
				c.TokenFile = filepath.Join(c.Data, "dataplane.token")
			}
			return DataPlane(cmd.Context(), c)
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Unit, "unit", "local", "name of this unit")
	f.StringVar(&c.Server, "server", "http://"+listenDefault, "URL of the control plane")
	f.StringVar(&c.TokenFile, "token-file", "", "file with the data plane's token (default dataplane.token in the data folder)")
	f.StringVar(&c.Gateway, "gateway", gatewayDefault, "address that takes users' requests")
	f.StringVar(&c.Admin, "admin", adminDefault, "address of the health page, metrics and logs")
	addFlags(cmd, &c.Flags, &c.FlagsLimits)
	f.StringVar(&c.Environment, "environment", flag.Production, "environment whose flags are served")
	addGateway(cmd, &c.Trusted, &c.Access)
	addACME(cmd, &c.ACME)
	addTLS(cmd, &c.TLS, "the gateway speaks TLS with it, and the other addresses when others shall reach them")
	f.BoolVar(&c.StopInstances, "stop-instances", false, "stop the instances on a clean end; without, they go on and are adopted at the next start")
	return cmd
}

// dataFolder is the folder of --data, made absolute: it is handed to other processes.
func dataFolder(cmd *cobra.Command) string {
	dir, err := filepath.Abs(cli.DataFolder(cmd))
	if err != nil {
		return cli.DataFolder(cmd)
	}
	_ = os.MkdirAll(dir, 0o700)
	return dir
}

func demoCommand() *cobra.Command {
	c := demo.Config{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See the main job: a good, a bad and a broken release under traffic",
		Long: `Starts Ringfence in a temporary folder, the example shop at v1 and the requests of a few hundred users. Then it
releases v2, which is good; v3, which fails some checkouts and is slower; and v4, which never becomes ready. It ends with a
summary, and with exit status 1 when a promise was broken. It needs Go and the repository, to build the shop.`,
		Example: "  ringfence demo\n  ringfence demo --keep\n  ringfence demo --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.JSON, _ = cmd.Flags().GetBool("json")
			c.Out, c.Progress = cmd.OutOrStdout(), cmd.ErrOrStderr()
			c.Terminal = term.IsTerminal(int(os.Stderr.Fd()))
			return demo.Run(cmd.Context(), c)
		},
	}
	cmd.Flags().StringVar(&c.Source, "source", ".", "the repository")
	cmd.Flags().BoolVar(&c.Keep, "keep", false, "leave everything running at the end")
	return cmd
}
