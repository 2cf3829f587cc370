package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
)

func auditExport(e *env) *cobra.Command {
	var to, format, from string
	cmd := &cobra.Command{
		Use:   "export -o DIR",
		Short: "Write the whole record, so that anybody can verify it without a server",
		Long: `Writes every event, the leaves of the tree over them, a checkpoint signed now and the log's public keys into a new folder. It appears
whole or not at all. With --format ocsf or cef events are written for a SIEM instead, to the file -o (- for standard output) or posted to
the URL -o, in parts; those cannot be verified.`,
		Example: "  ringfence audit export -o ./export\n  ringfence audit export --format ocsf -o events.ocsf.jsonl --since 24h\n  ringfence audit export --format cef -o https://siem.example.com/in",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to == "" {
				return errs.E(errs.Invalid, "-o: missing, expected where to write to")
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			if format != "" && format != "ringfence" {
				return foreignExport(cmd, c, format, to, from)
			}
			if from != "" {
				return errs.E(errs.Invalid, "--since: only with --format ocsf or cef: what is verified is whole")
			}
			o, err := exportTo(cmd.Context(), c, to)
			if err != nil {
				return err
			}
			return e.show(cmd, map[string]any{"folder": to, "origin": o.Origin, "events": o.Size, "root": o.Root.String()}, func(w io.Writer) {
				fmt.Fprintf(w, "%d events of %s are in %s; verify them with: ringfence audit verify %s\n", o.Size, o.Origin, to, to)
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&to, "out", "o", "", "new folder; a file or URL with --format")
	f.StringVar(&format, "format", "ringfence", "ringfence, ocsf or cef")
	f.StringVar(&from, "since", "", "only at or after this time, with --format")
	return cmd
}

// exportTo writes an export into a folder that is not there yet.
func exportTo(ctx context.Context, c *client.Client, dir string) (audit.Opened, error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return audit.Opened{}, errs.E(errs.Conflict, "%s is not empty: expected a new folder", dir)
	}
	log, err := c.Record(ctx, false)
	if err != nil {
		return audit.Opened{}, err
	}
	signed, err := c.Checkpoint(ctx, true)
	if err != nil {
		return audit.Opened{}, err
	}
	o, err := audit.OpenCheckpoint(signed, log.Publics())
	if err != nil {
		return audit.Opened{}, errs.Wrap(errs.Internal, err, "the record")
	}
	tmp := strings.TrimRight(dir, "/") + ".partial"
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return o, errs.Wrap(errs.Invalid, err, "-o")
	}
	if err := fillExport(ctx, c, tmp, o, onlyLog(signed, o), log.Publics()); err != nil {
		return o, errors.Join(err, os.RemoveAll(tmp))
	}
	_ = os.Remove(dir) // an empty folder that was there
	if err := os.Rename(tmp, dir); err != nil {
		return o, errs.Wrap(errs.Invalid, errors.Join(err, os.RemoveAll(tmp)), "-o")
	}
	return o, nil
}

// onlyLog leaves witnesses' lines out: whoever verifies an export knows the log's keys.
func onlyLog(signed []byte, o audit.Opened) []byte {
	text := string(signed)
	for _, line := range o.Others {
		text = strings.Replace(text, line, "", 1)
	}
	return []byte(text)
}

func fillExport(ctx context.Context, c *client.Client, dir string, o audit.Opened, signed []byte, keys []string) error {
	err := writeFile(filepath.Join(dir, audit.FileLeaves), func(w io.Writer) error { return writeLeaves(ctx, c, w, o.Size) })
	if err == nil {
		err = writeFile(filepath.Join(dir, audit.FileEvents), func(w io.Writer) error {
			if o.Size == 0 {
				return nil
			}
			body, err := c.ExportRecord(ctx, 0, o.Size)
			if err != nil {
				return err
			}
			defer body.Close()
			_, err = io.Copy(w, body)
			return err
		})
	}
	if err == nil {
		err = writeFile(filepath.Join(dir, audit.FileKeys), func(w io.Writer) error {
			_, err := io.WriteString(w, strings.Join(keys, "\n")+"\n")
			return err
		})
	}
	if err == nil {
		err = writeFile(filepath.Join(dir, audit.FileCheckpoint), func(w io.Writer) error { _, err := w.Write(signed); return err })
	}
	return err
}

func writeLeaves(ctx context.Context, c *client.Client, w io.Writer, size int64) error {
	for n := int64(0); n*audit.TileWidth < size; n++ {
		b, err := c.Tile(ctx, audit.Tile{N: n, Width: int(min(audit.TileWidth, size-n*audit.TileWidth))})
		if err != nil {
			return err
		}
		for leaf := range slices.Chunk(b, audit.HashSize) {
			if _, err := fmt.Fprintf(w, "%x\n", leaf); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeFile writes a file that only its owner reads, onto the disk.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "-o")
	}
	w := bufio.NewWriterSize(f, 1<<20)
	err = write(w)
	return errors.Join(err, w.Flush(), f.Sync(), f.Close())
}

func auditVerify(e *env) *cobra.Command {
	var earlier, pinned []string
	cmd := &cobra.Command{
		Use:   "verify DIR",
		Short: "Verify an export without a server, and name the first event that was tampered with",
		Long: `Reads an export and checks everything: each event's hash, the chain, the tree, the log's signature, and that the export continues the
checkpoints that were obtained earlier. The exit status is 0 only when it is whole. Without --checkpoint a record that somebody cut or
rewrote and signed again with the log's own key looks whole: keep checkpoints elsewhere.`,
		Example: "  ringfence audit verify ./export\n  ringfence audit verify ./export --checkpoint kept.checkpoint",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := verifyExport(args[0], earlier, pinned)
			if err != nil {
				return err
			}
			return e.show(cmd, r, func(w io.Writer) { showReport(w, r) })
		},
	}
	cmd.Flags().StringArrayVar(&earlier, "checkpoint", nil, "file with a checkpoint that was obtained earlier; may be given several times")
	cmd.Flags().StringArrayVar(&pinned, "key", nil, "the log's public key, when you know it from elsewhere: no other is taken; may be given several times")
	return cmd
}

func verifyExport(dir string, earlier, pinned []string) (audit.Report, error) {
	read := func(path string) ([]byte, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "not an export, or not a whole one")
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, audit.MaxCheckpoint+1))
		if err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "%s", path)
		}
		return b, nil
	}
	var x audit.Export
	keys, err := read(filepath.Join(dir, audit.FileKeys))
	if err != nil {
		return audit.Report{}, err
	}
	if x.Keys, err = audit.ParseKeys(keys); err != nil {
		return audit.Report{}, errs.Wrap(errs.Invalid, err, "%s", dir)
	}
	if len(pinned) > 0 {
		x.Keys = pinned
	}
	if x.Checkpoint, err = read(filepath.Join(dir, audit.FileCheckpoint)); err != nil {
		return audit.Report{}, err
	}
	for _, path := range earlier {
		b, err := read(path)
		if err != nil {
			return audit.Report{}, errs.Wrap(errs.Invalid, err, "--checkpoint")
		}
		x.Earlier = append(x.Earlier, b)
	}
	events, err := os.Open(filepath.Join(dir, audit.FileEvents))
	if err != nil {
		return audit.Report{}, errs.Wrap(errs.Invalid, err, "not an export, or not a whole one")
	}
	defer events.Close()
	leaves, err := os.Open(filepath.Join(dir, audit.FileLeaves))
	if err != nil {
		return audit.Report{}, errs.Wrap(errs.Invalid, err, "not an export, or not a whole one")
	}
	defer leaves.Close()
	x.Events, x.Leaves = events, leaves
	r, err := x.Check()
	if err != nil {
		return r, errs.E(errs.Internal, "%s is not whole: %v", dir, err)
	}
	return r, nil
}

func showReport(w io.Writer, r audit.Report) {
	fmt.Fprintf(w, "whole: %d events of %s, signed by %s\n", r.Events, printable(r.Origin), printable(r.Key))
	for _, n := range r.Earlier {
		fmt.Fprintf(w, "it continues the checkpoint of %d events\n", n)
	}
	for _, x := range r.Removed {
		fmt.Fprintf(w, "the content of events %d to %d was removed after its time, as the record says; their hashes are proved\n", x.First, x.Last)
	}
}
