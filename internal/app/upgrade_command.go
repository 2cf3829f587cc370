package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/cli"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/handover"
)

func upgradeCommand() *cobra.Command {
	r := UpgradeRequest{}
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Replace a running Ringfence by another version while it serves",
		Long: `Replaces what runs in a data folder by another binary: this one, or that of --to. No request is lost: each new process gets the sockets
of the one before, adopts its instances, and answers before that stops accepting. One that does not serve in time, or dies at once, is
dropped, and the one before goes on. Versions next to each other work together, so that one plane may be upgraded without the other.`,
		Example: "  ringfence upgrade\n  ringfence upgrade --to ./ringfence-v2 --only data\n  ringfence upgrade --back",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := complete(&r); err != nil {
				return err
			}
			asJSON, _ := cmd.Flags().GetBool("json")
			say := func(text string) {
				if !asJSON {
					fmt.Fprintln(cmd.ErrOrStderr(), text)
				}
			}
			all, err := Upgrade(cmd.Context(), dataFolder(cmd), r, say)
			if asJSON && (err == nil || len(all) > 0) {
				if printErr := json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"upgraded": all}); printErr != nil {
					return printErr
				}
			} else {
				for _, u := range all {
					fmt.Fprintf(cmd.OutOrStdout(), "%s: %s → %s (process %d)\n", planeNames[u.Plane], u.From, u.To, u.PID)
				}
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.Binary, "to", "", "binary to upgrade to (default the one that this command is of)")
	f.StringVar(&r.Only, "only", "", "control or data: upgrade this plane alone")
	f.BoolVar(&r.Back, "back", false, "go back to the binary before the last upgrade")
	f.DurationVar(&r.Within, "within", upgradeLimit, "how long a new process has to serve before it is dropped")
	return cmd
}

// complete checks what was asked for and names the binary in full.
func complete(r *UpgradeRequest) error {
	if r.Only != "" && r.Only != "control" && r.Only != "data" {
		return errs.E(errs.Invalid, "--only %q: expected control or data", r.Only)
	}
	if r.Within < time.Second || r.Within > time.Hour {
		return errs.E(errs.Invalid, "--within %s: expected 1s to 1h", r.Within)
	}
	if r.Back {
		if r.Binary != "" {
			return errs.E(errs.Invalid, "--back and --to: expected one of them")
		}
		return nil
	}
	var err error
	if r.Binary == "" {
		r.Binary, err = os.Executable()
	} else {
		r.Binary, err = filepath.Abs(r.Binary)
	}
	if err != nil {
		return err
	}
	if info, err := os.Stat(r.Binary); err != nil {
		return errs.Wrap(errs.Invalid, err, "--to")
	} else if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return errs.E(errs.Invalid, "--to %s: expected a program", r.Binary)
	}
	return nil
}

// Upgrade upgrades what runs in a data folder: an up with everything, or planes that were started by themselves.
func Upgrade(ctx context.Context, data string, r UpgradeRequest, say func(string)) (all []Upgraded, err error) {
	if lockHolder(data, "up") != 0 {
		if err := askPatiently(ctx, socketPath(data, "up"), r, say, &all); err != nil {
			return nil, err
		}
		if r.Only == "" {
			err = awaitUp(ctx, data, all[len(all)-1].To)
		}
		return all, err
	}
	for _, plane := range []struct{ name, data string }{{"server", data}, {"dataplane", filepath.Join(data, "dataplane")}, {"dataplane", data}} {
		if r.Only != "" && r.Only != parts[plane.name] || !runs(plane.data, plane.name) {
			continue
		}
		one := r
		one.Only = ""
		var u Upgraded
		if err := askPatiently(ctx, socketPath(plane.data, plane.name), one, say, &u); err != nil {
			return all, err
		}
		all = append(all, u)
	}
	if len(all) == 0 {
		return nil, errs.E(errs.Missing, "nothing runs in %s that could be upgraded", data).Next("Start it with: ringfence up, or name another folder with --data.")
	}
	return all, nil
}

// runs says whether somebody has a plane's folder.
func runs(data, plane string) bool {
	if _, err := os.Stat(lockPath(data, plane)); err != nil {
		return false
	}
	lock, err := tryLock(data, plane)
	if err == nil {
		_ = lock.Close()
	}
	return errs.Is(err, errs.Conflict)
}

// socketPatience is how long a process that has its folder may take to answer at its control socket.
const socketPatience = 10 * time.Second

func askPatiently(ctx context.Context, path string, r UpgradeRequest, say func(string), into any) error {
	for end := time.Now().Add(socketPatience); ; {
		err := handover.Ask(ctx, path, r, say, into)
		if !errors.Is(err, handover.ErrNobody) {
			return err
		}
		if time.Now().After(end) {
			return errs.E(errs.Unavailable, "what runs there cannot be asked: %s", err).Next("It is of a version without upgrades: stop it and start this one.")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// awaitUp waits until up is the program that it was to become.
func awaitUp(ctx context.Context, data, version string) error {
	var now []Upgraded
	for end := time.Now().Add(socketPatience); ; {
		now = nil
		err := handover.Ask(ctx, socketPath(data, "up"), UpgradeRequest{Ask: true}, func(string) {}, &now)
		if err == nil && len(now) == 1 && now[0].To == version {
			return nil
		}
		if time.Now().After(end) {
			return errs.E(errs.Unavailable, "the planes are upgraded, but up did not become %s", version).Next("See what up says; ringfence %s goes on looking after them.", cli.Version())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
