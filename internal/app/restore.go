package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/errs"
)

// Restore reads a backup into the empty store of a data folder, or into an empty database. The control plane
// must not run there; the data plane goes on serving meanwhile.
func Restore(ctx context.Context, c ServerConfig, backup io.Reader) (err error) {
	lock, err := lockFolder(c.Data, "server")
	if err != nil {
		return err
	}
	defer lock.Close()
	s, err := openStore(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.Restore(ctx, backup)
}

func restoreCommand() *cobra.Command {
	var c ServerConfig
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Read a backup into an empty data folder or database",
		Long: `Reads what 'ringfence backup' wrote, of either kind of database, into the empty store of the data folder, or into the empty
database of --database. The record's chain is checked first; nothing is visible until all of it is whole. The control plane
must not be running there; users are served by the data plane meanwhile.`,
		Example: "  ringfence restore ringfence.backup --data ./new-state\n  RINGFENCE_DATABASE=postgres://… ringfence restore - < ringfence.backup",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c.Data = dataFolder(cmd)
			in := cmd.InOrStdin()
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return errs.Wrap(errs.Invalid, err, "backup")
				}
				defer f.Close()
				in = f
			}
			if err := Restore(cmd.Context(), c, in); err != nil {
				return err
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"data": c.Data})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "restored; start it with: ringfence up --data %s\n", c.Data)
			return nil
		},
	}
	cmd.Flags().StringVar(&c.Database, "database", os.Getenv(databaseEnv), "postgres://… instead of the data folder (default $"+databaseEnv+")")
	return cmd
}
