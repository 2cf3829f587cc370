package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/errs"
)

// Main runs the command that the process was started with and returns its exit status. The commands that run Ringfence
// itself are handed in, so that this package stays on the API's side.
func Main(extra ...*cobra.Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	return Run(ctx, Root(extra...), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// Run runs a command and returns its exit status.
func Run(ctx context.Context, root *cobra.Command, args []string, in io.Reader, out, errOut io.Writer) int {
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	began := false
	note(root, &began)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	if !began {
		err = usage(cmd, err)
	}
	if ctx.Err() != nil {
		return ExitFailed // the person who interrupted it knows
	}
	report(cmd, err)
	return exitCode(err)
}

// note sets began when a command begins to do its work: errors before that are of how it was called.
func note(cmd *cobra.Command, began *bool) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*began = true
			return run(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		note(sub, began)
	}
}

// family makes a command of which only its subcommands do something.
func family(cmd *cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return errs.E(errs.Invalid, "unknown command %q for %q", args[0], cmd.CommandPath())
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// Root is the command of commands.
func Root(extra ...*cobra.Command) *cobra.Command {
	e := &env{}
	root := &cobra.Command{
		Use:   "ringfence",
		Short: "Takes changes to production one ring of users at a time",
		Long: `Ringfence takes a change to production one ring of users at a time, watches it, and takes it back before most
users ever see it.`,
		Example: `  ringfence up
  ringfence apply -f service.yaml
  ringfence release shop --version v2 --artifact ./shop-v2
  ringfence rollout status shop --watch`,
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	f := root.PersistentFlags()
	f.StringVar(&e.data, "data", defaultData(), "data folder; the server's address and the token are read from it")
	f.StringVar(&e.server, "server", os.Getenv("RINGFENCE_SERVER"), "URL of the control plane (default $RINGFENCE_SERVER, or what runs in the data folder)")
	f.StringVar(&e.tokenFile, "token-file", "", "file with the token (default $RINGFENCE_TOKEN, what ringfence login kept, or admin.token in the data folder)")
	f.BoolVar(&e.json, "json", false, "print JSON")
	root.AddGroup(&cobra.Group{ID: "changes", Title: "Changes:"}, &cobra.Group{ID: "look", Title: "Looking:"}, &cobra.Group{ID: "run", Title: "Running Ringfence:"})
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			if c.GroupID == "" {
				c.GroupID = group
			}
			root.AddCommand(c)
		}
	}
	add("changes", applyCommand(e), deleteCommand(e), releaseCommand(e), rolloutCommand(e), approvalsCommand(e), rollforwardCommand(e), redeployCommand(e), lineCommand(e), unitCommand(e), databaseCommand(e), configCommand(e), notifierCommand(e))
	add("look", getCommand(e), exportCommand(e), serviceCommand(e), ringCommand(e), logsCommand(e), eventsCommand(e), auditCommand(e), verdictCommand(e), simulateCommand(e), flagsCommand(e), experimentCommand(e), sloCommand(e), probeCommand(e), alertCommand(e), rumCommand(e), replayCommand(e), schemaCommand(e), whoamiCommand(e), versionCommand(e))
	add("look", queryCommand(e), interfaceCommand(e), artifactCommand(e), vulnerabilityCommand(e))
	add("look", incidentCommand(e), breachCommand(e), reachCommand(e), oncallCommand(e), doraCommand(e))
	add("run", backupCommand(e), secretCommand(e), tokenCommand(e), policyCommand(e), accessCommand(e), sessionCommand(e), loginCommand(e), logoutCommand(e))
	for _, c := range extra {
		if have := topCommand(root, c.Name()); have != nil { // commands that join a family
			have.AddCommand(c.Commands()...)
			continue
		}
		add("run", c)
	}
	root.AddCommand(exitStatusTopic())
	return root
}

// topCommand is a command right below the root, nil when there is none of that name.
func topCommand(root *cobra.Command, name string) *cobra.Command {
	for _, c := range root.Commands() {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

// DataFolder is the folder of --data.
func DataFolder(cmd *cobra.Command) string {
	if f := cmd.Root().PersistentFlags().Lookup("data"); f != nil {
		return f.Value.String()
	}
	return defaultData()
}

func defaultData() string {
	if dir := os.Getenv("RINGFENCE_DATA"); dir != "" {
		return dir
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "ringfence")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "share", "ringfence")
	}
	return "ringfence-data"
}
