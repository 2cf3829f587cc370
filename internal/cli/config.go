package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/resource"
)

func configCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:   "config",
		Short: "Make and look at versions of services' configurations",
		Long: `A config is a version of a service's environment and files. It is immutable, and is released as a version of the service
is: with it, or alone. Instances find the folder of its files in RINGFENCE_CONFIG.`,
		Example: "  ringfence config create shop --version c2 --env PRICES=new\n  ringfence release shop --config c2",
	})
	cmd.AddCommand(configCreate(e), configList(e), configShow(e), configDiff(e))
	return cmd
}

func configCreate(e *env) *cobra.Command {
	var version, note, envFile string
	var env, files []string
	cmd := &cobra.Command{
		Use:   "create SERVICE --version VERSION",
		Short: "Make a version of a service's configuration",
		Long: `Makes a version of a service's configuration from values and files. It runs nowhere until it is released. An --env of
the same name goes before one of --env-file, whose lines are NAME=VALUE, blank or comments with #.`,
		Example: `  ringfence config create shop --version c2 --env PRICES=new --note "prices of spring"
  ringfence config create shop --version c3 --env-file shop.env --file prices.json=./prices.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg := wire.Config{Version: version, Note: note}
			var err error
			if cfg.Env, err = environment(envFile, env); err != nil {
				return err
			}
			if cfg.Files, err = configFiles(files); err != nil {
				return err
			}
			made, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (resource.Config, error) {
				return c.CreateConfig(ctx, args[0], cfg)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, made, func(w io.Writer) {
				fmt.Fprintf(w, "config/%s: %d values, %d files; release it with: ringfence release %s --config %s\n",
					resource.ReleaseName(made.Service, made.Version), len(made.Env), len(made.Files), made.Service, made.Version)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&version, "version", "", "the config's name, unlike that of every other config of the service")
	f.StringArrayVar(&env, "env", nil, "NAME=VALUE; may be given several times")
	f.StringVar(&envFile, "env-file", "", "a file of NAME=VALUE lines")
	f.StringArrayVar(&files, "file", nil, "PATH=FILE, where instances find it and where it is now; may be given several times")
	f.StringVar(&note, "note", "", "what it is for")
	_ = cmd.MarkFlagRequired("version") // the flag is there: it was added above
	return cmd
}

// environment reads NAME=VALUE from a file and from flags, which go before.
func environment(path string, flags []string) (map[string]string, error) {
	over, err := pairs("--env", flags)
	if err != nil || path == "" {
		return over, err
	}
	raw, err := readLimited(path)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	n := 0
	for line := range strings.Lines(raw) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if trimmed := strings.TrimSpace(line); trimmed == "" || trimmed[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, errs.E(errs.Invalid, "%s:%d: expected NAME=VALUE", path, n)
		}
		if _, twice := out[name]; twice {
			return nil, errs.E(errs.Invalid, "%s:%d: %s is given twice", path, n, name)
		}
		out[name] = value
	}
	for name, value := range over {
		out[name] = value
	}
	return out, nil
}

func configFiles(flags []string) (map[string]string, error) {
	from, err := pairs("--file", flags)
	if err != nil {
		return nil, err
	}
	files := make(map[string]string, len(from))
	for at, path := range from {
		if files[at], err = readLimited(path); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// maxConfigFile is more than a config may hold, which the control plane says with more words.
const maxConfigFile = 1 << 20

func readLimited(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", errs.E(errs.Invalid, "%s: there is no such file", path)
	}
	if err != nil {
		return "", errs.Wrap(errs.Invalid, err, "%s", path)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	switch {
	case err != nil:
		return "", errs.Wrap(errs.Invalid, err, "%s", path)
	case len(raw) > maxConfigFile:
		return "", errs.E(errs.Invalid, "%s has more than %d bytes, expected at most 256 KiB in all files of a config", path, maxConfigFile)
	case !utf8.Valid(raw) || bytes.IndexByte(raw, 0) >= 0:
		return "", errs.E(errs.Invalid, "%s is no text in UTF-8", path)
	}
	return string(raw), nil
}

func configList(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "list SERVICE",
		Short:   "List the versions of a service's configuration",
		Example: "  ringfence config list shop",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]resource.Config, error) { return c.Configs(ctx, args[0]) })
			if err != nil {
				return err
			}
			slices.SortStableFunc(all, func(a, b resource.Config) int { return b.Created.Compare(a.Created) })
			return e.show(cmd, all, func(w io.Writer) {
				rows := make([][]string, len(all))
				for i, c := range all {
					rows[i] = []string{c.Version, fmt.Sprint(len(c.Env)), fmt.Sprint(len(c.Files)), ago(c.Created), c.By, c.Note}
				}
				table(w, []string{"CONFIG", "VALUES", "FILES", "MADE", "BY", "NOTE"}, rows)
			})
		},
	}
}

func configShow(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "show SERVICE VERSION",
		Short:   "Print the values and files of a config",
		Example: "  ringfence config show shop c2",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (resource.Config, error) {
				return c.Config(ctx, args[0], args[1])
			})
			if err != nil {
				return err
			}
			return e.show(cmd, cfg, func(w io.Writer) {
				fmt.Fprintf(w, "config/%s, made %s by %s\n", resource.ReleaseName(cfg.Service, cfg.Version), cfg.Created.Local().Format(time.DateTime), cfg.By)
				if cfg.Note != "" {
					fmt.Fprintln(w, printable(cfg.Note))
				}
				for _, line := range configLines(cfg) {
					fmt.Fprintln(w, printable(line))
				}
			})
		},
	}
}

// configLines are all values and files of a config, one line after the other, in an order that two of them share.
func configLines(c resource.Config) []string {
	var lines []string
	for _, k := range sortedNames(c.Env) {
		lines = append(lines, k+"="+c.Env[k])
	}
	for _, path := range sortedNames(c.Files) {
		lines = append(lines, "--- "+path)
		for line := range strings.Lines(c.Files[path]) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

func sortedNames(m map[string]string) []string {
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}

func configDiff(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "diff SERVICE FROM TO",
		Short:   "Print what differs between two configs",
		Example: "  ringfence config diff shop c1 c2",
		Args:    cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			var both [2]resource.Config
			for i, version := range args[1:] {
				var err error
				both[i], err = ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (resource.Config, error) {
					return c.Config(ctx, args[0], version)
				})
				if err != nil {
					return err
				}
			}
			list := configDifference(both[0], both[1])
			switch {
			case e.json:
				return printJSON(cmd.OutOrStdout(), list)
			case len(list) == 0:
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "they hold the same")
				return err
			}
			return showConfigDiff(cmd.OutOrStdout(), both[0], both[1])
		},
	}
}

// difference is one value or file that two configs do not share; nil where one has none.
type difference struct {
	Env  string  `json:"env,omitempty"`
	File string  `json:"file,omitempty"`
	From *string `json:"from"`
	To   *string `json:"to"`
}

func configDifference(a, b resource.Config) []difference {
	list := differences(a.Env, b.Env, func(d *difference, name string) { d.Env = name })
	return append(list, differences(a.Files, b.Files, func(d *difference, name string) { d.File = name })...)
}

func differences(a, b map[string]string, name func(*difference, string)) []difference {
	list := []difference{}
	for _, k := range sortedNames(merged(a, b)) {
		from, had := a[k]
		to, has := b[k]
		if had == has && from == to {
			continue
		}
		d := difference{}
		name(&d, k)
		if had {
			d.From = &from
		}
		if has {
			d.To = &to
		}
		list = append(list, d)
	}
	return list
}

func merged(a, b map[string]string) map[string]string {
	all := make(map[string]string, len(a)+len(b))
	for _, m := range []map[string]string{a, b} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

// showConfigDiff prints what differs as of any resource: who made them, and when, differs anyway.
func showConfigDiff(w io.Writer, a, b resource.Config) error {
	var both [2]resource.Resource
	for i, c := range []resource.Config{a, b} {
		spec, err := json.Marshal(struct {
			Env   map[string]string `json:"env,omitempty"`
			Files map[string]string `json:"files,omitempty"`
		}{c.Env, c.Files})
		if err != nil {
			return err
		}
		name := resource.ReleaseName(c.Service, c.Version)
		both[i] = resource.Resource{APIVersion: resource.APIVersion, Kind: resource.KindConfig, Metadata: resource.Metadata{Name: name}, Spec: spec}
	}
	diff, err := manifest.Diff(&both[0], &both[1])
	if err != nil {
		return err
	}
	showDiff(w, colours(w), diff)
	return nil
}
