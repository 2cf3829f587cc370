package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/handover"
)

// version is set when a release is built: -ldflags "-X github.com/ringfence/ringfence/internal/cli.version=v1.2.3".
var version = ""

// Version is what this binary is.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}

func versionCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print what this binary is",
		Example: "  ringfence version --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := map[string]any{"version": Version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH, "handover": handover.Protocol}
			return e.show(cmd, v, func(w io.Writer) { fmt.Fprintf(w, "ringfence %s, %s, %s\n", v["version"], v["go"], v["platform"]) })
		},
	}
}

func whoamiCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "whoami",
		Short:   "Print whose token is used, and for which server",
		Example: "  ringfence whoami",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at := ""
			who, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.WhoAmI, error) {
				at = c.URL()
				return c.WhoAmI(ctx)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, who, func(w io.Writer) { fmt.Fprintf(w, "%s, role %s, at %s (%s)\n", who.Name, who.Role, at, who.Server) })
		},
	}
}

func backupCommand(e *env) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "backup -o FILE",
		Short: "Write a consistent copy of all state and the whole record",
		Long: `Writes a copy of all state and the whole record while everything goes on. The file holds what a reader could do harm
with, hashed tokens and environments of services: keep it as you would a password. It appears whole or not at all.`,
		Example: "  ringfence backup -o ringfence.backup\n  ringfence backup -o - | age -r age1… > ringfence.backup.age",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			if path == "-" {
				return c.Backup(cmd.Context(), cmd.OutOrStdout())
			}
			size, err := saveBackup(cmd.Context(), c, path)
			if err != nil {
				return err
			}
			return e.show(cmd, map[string]any{"file": path, "bytes": size}, func(w io.Writer) { fmt.Fprintf(w, "%s: %d bytes\n", path, size) })
		},
	}
	cmd.Flags().StringVarP(&path, "output", "o", "", "the file to write, which must not be there yet, or - for standard output")
	_ = cmd.MarkFlagRequired("output") // the flag is there: it was added above
	return cmd
}

func saveBackup(ctx context.Context, c *client.Client, path string) (size int64, err error) {
	there := errs.E(errs.Invalid, "%s is there already", path).Next("Name another file: a backup is never written over one.")
	if _, err := os.Lstat(path); err == nil {
		return 0, there
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".backup-") // made with mode 0600
	if err != nil {
		return 0, errs.Wrap(errs.Invalid, err, "cannot write the backup")
	}
	defer os.Remove(f.Name())
	buffered := bufio.NewWriterSize(f, 1<<20)
	err = c.Backup(ctx, buffered)
	err = errors.Join(err, buffered.Flush())
	if info, statErr := f.Stat(); statErr == nil {
		size = info.Size()
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return 0, err
	}
	err = os.Link(f.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		return 0, there
	}
	if err != nil {
		return 0, errs.Wrap(errs.Invalid, err, "cannot write the backup")
	}
	return size, nil
}
