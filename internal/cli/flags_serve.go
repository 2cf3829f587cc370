package cli

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ringfence/ringfence/internal/certs"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flaggate"
	"github.com/ringfence/ringfence/internal/flagserve"
	"github.com/ringfence/ringfence/internal/manifest"
)

// serving is what flags serve was asked.
type serving struct {
	configs, uris, origins        []string
	sources, environment, address string
	ports                         flagserve.Ports
	socket, syncSocket            string
	cert, key, logFormat          string
	context, headers              map[string]string
	deadline                      time.Duration
	maxBody                       int64
	noSyncMetadata, requireKey    bool
}

const serveLong = `Serves flags by OFREP and flagd's protocols, as flagd start does, on flagd's ports: 8013 evaluation, 8014 health and
metrics, 8015 sync, 8016 OFREP. Options that flagd has mean what they mean there, and are taken from FLAGD_… variables, too.

--config takes a file of flags, JSON or YAML, or a configuration file of flagd, whose fields are named as the options are. --uri takes
an address, too, which is asked every 5 s, or a server of flagd's sync, which tells of changes. Files are read again when they change;
a source that cannot be read changes nothing, and why is logged.

Other machines are let in (--address) only with a certificate: --server-cert-path and --server-key-path, which are read again when
they change. The management port has no flags, and never has TLS.`

func flagsServeCommand() *cobra.Command {
	var a serving
	cmd := &cobra.Command{
		Use:   "serve {--config FILE | --uri URI}…",
		Short: "Serve flags, as flagd does",
		Long:  serveLong,
		Example: `  ringfence flags serve --config flags.yaml
  ringfence flags serve --uri https://flags.example.com/shop.json --uri file:mine.json
  ringfence flags serve -f file:base.json -f file:team.json --context-value region=eu --cors-origin https://shop.example.com`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serveFlags(cmd, &a) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&a.configs, "config", nil, "file of flags, or flagd's configuration file; may be given several times, those later win")
	f.StringSliceVarP(&a.uris, "uri", "f", nil, "flags as file:PATH, http(s)://… or grpc(s)://HOST:PORT; may be given several times, those later win")
	f.StringVarP(&a.sources, "sources", "s", "", `sources of flags as JSON: [{"uri":"flags.json","provider":"file"}]`)
	f.StringVar(&a.environment, "environment", "", "whose state of the flags is served, where a file has several")
	f.StringVar(&a.address, "address", "127.0.0.1", "address to listen on")
	f.IntVarP(&a.ports.Evaluation, "port", "p", 8013, "port of evaluation: gRPC, gRPC-Web and Connect")
	f.IntVarP(&a.ports.Management, "management-port", "m", 8014, "port of /healthz, /readyz and /metrics")
	f.IntVarP(&a.ports.Sync, "sync-port", "g", 8015, "port of sync: gRPC, gRPC-Web and Connect")
	f.IntVarP(&a.ports.OFREP, "ofrep-port", "r", 8016, "port of OFREP")
	f.StringVarP(&a.socket, "socket-path", "d", "", "Unix socket for evaluation, instead of its port")
	f.StringVarP(&a.syncSocket, "sync-socket-path", "e", "", "Unix socket for sync, instead of its port")
	f.StringVarP(&a.cert, "server-cert-path", "c", "", "certificate to speak TLS with")
	f.StringVarP(&a.key, "server-key-path", "k", "", "key of the certificate")
	f.StringToStringVarP(&a.context, "context-value", "X", nil, "attribute that wins over what clients send, as name=value")
	f.StringToStringVarP(&a.headers, "context-from-header", "H", nil, "header whose value becomes an attribute and wins over all, as Header=name")
	f.StringSliceVarP(&a.origins, "cors-origin", "C", nil, "origin of pages that may ask, * for all")
	f.DurationVar(&a.deadline, "stream-deadline", 0, "after which flagd's streams are ended, 0 for never")
	f.Int64VarP(&a.maxBody, "max-request-body", "B", 64<<10, "bytes of a request")
	f.BoolVar(&a.noSyncMetadata, "disable-sync-metadata", false, "refuse GetMetadata of sync, which is deprecated")
	f.BoolVar(&a.requireKey, "require-targeting-key", false, "refuse contexts without a targetingKey, with TARGETING_KEY_MISSING")
	f.StringVarP(&a.logFormat, "log-format", "z", "console", "console or json")
	return cmd
}

func serveFlags(cmd *cobra.Command, a *serving) error {
	if err := fromEnvironment(cmd.Flags()); err != nil {
		return err
	}
	paths, remotes, err := a.files(cmd.Flags())
	if err != nil {
		return err
	}
	if a.maxBody < 1 || a.maxBody > 8<<20 {
		return errs.E(errs.Invalid, "--max-request-body: got %d, expected 1 to %d", a.maxBody, 8<<20)
	}
	var log *slog.Logger
	switch a.logFormat {
	case "console":
		log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
	case "json":
		log = slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil))
	default:
		return errs.E(errs.Invalid, "--log-format: got %q, expected console or json", a.logFormat)
	}
	secure, err := a.tls(log)
	if err != nil {
		return err
	}
	context := map[string]any{}
	for name, v := range a.context {
		context[name] = v
	}
	s := flagserve.Server{
		Files: &flagserve.Files{Paths: paths, Remotes: remotes, Environment: a.environment, Log: log}, Address: a.address, Ports: a.ports, Socket: a.socket, SyncAt: a.syncSocket, TLS: secure, Log: log,
		Options: flagserve.Options{Origins: a.origins, MaxBody: a.maxBody, StreamDeadline: a.deadline, NoMetadata: a.noSyncMetadata,
			Gate: &flaggate.Gate{Environment: a.environment, Context: context, Headers: a.headers, RequireKey: a.requireKey, Log: log}},
		Ready: func(at flagserve.Addresses) {
			fmt.Fprintf(cmd.OutOrStdout(), "flags are served: evaluation %s, management %s, sync %s, OFREP %s\n", at.Evaluation, at.Management, at.Sync, at.OFREP)
		},
	}
	return s.Run(cmd.Context())
}

// fromEnvironment takes options that were not given from FLAGD_… variables.
func fromEnvironment(f *pflag.FlagSet) (err error) {
	f.VisitAll(func(option *pflag.Flag) {
		name := "FLAGD_" + strings.ToUpper(strings.ReplaceAll(option.Name, "-", "_"))
		if value, ok := os.LookupEnv(name); ok && !option.Changed && err == nil {
			if wrong := f.Set(option.Name, value); wrong != nil {
				err = errs.Wrap(errs.Invalid, wrong, "%s", name)
			}
		}
	})
	return err
}

// files are all sources of flags.
func (a *serving) files(f *pflag.FlagSet) ([]string, []*flagserve.Remote, error) {
	var flags []string
	for _, path := range a.configs {
		settings, err := flagdSettings(path)
		if err != nil {
			return nil, nil, err
		}
		if settings == nil {
			flags = append(flags, path)
			continue
		}
		if err := configure(f, path, settings); err != nil {
			return nil, nil, err
		}
	}
	paths, remotes, err := flagserve.FromURIs(a.uris)
	if err != nil {
		return nil, nil, err
	}
	if a.sources != "" {
		more, others, err := flagserve.FromSources(a.sources)
		if err != nil {
			return nil, nil, err
		}
		paths, remotes = append(paths, more...), append(remotes, others...)
	}
	if paths = append(paths, flags...); len(paths) == 0 {
		return nil, nil, errs.E(errs.Invalid, "there are no flags to serve: expected --config FILE, --uri file:PATH or --sources")
	}
	return paths, remotes, nil
}

// flagdSettings are the fields of a configuration file of flagd, nil for a file of flags.
func flagdSettings(path string) (map[string]json.RawMessage, error) {
	src, err := readFlags(path, nil)
	if err != nil {
		return nil, err
	}
	doc, problems := manifest.ReadDocument(src, len(src.Data))
	var fields map[string]json.RawMessage
	if len(problems) > 0 || json.Unmarshal(doc.Raw, &fields) != nil || fields["flags"] != nil {
		return nil, nil // whoever reads it as flags says what is wrong
	}
	return fields, nil
}

// configure sets the options that were not given to those of a configuration file of flagd.
func configure(f *pflag.FlagSet, path string, settings map[string]json.RawMessage) error {
	for name, raw := range settings {
		option := f.Lookup(name)
		if option == nil || name == "config" {
			return errs.E(errs.Invalid, "%s: this is neither a file of flags nor a configuration of flagd: unknown field %q", path, name)
		}
		if option.Changed {
			continue
		}
		values, err := settingValues(name, raw)
		if err == nil {
			for _, v := range values {
				if err = f.Set(name, v); err != nil {
					break
				}
			}
		}
		if err != nil {
			return errs.Wrap(errs.Invalid, err, "%s: %s", path, name)
		}
	}
	return nil
}

// settingValues is a field's value as the option takes it.
func settingValues(name string, raw json.RawMessage) ([]string, error) {
	if name == "sources" {
		return []string{string(raw)}, nil
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, fmt.Sprint(one))
		}
		return all, nil
	case map[string]any:
		var all []string
		for key, one := range v {
			all = append(all, fmt.Sprintf("%s=%v", key, one))
		}
		slices.Sort(all)
		return all, nil
	case float64:
		return []string{fmt.Sprintf("%.0f", v)}, nil
	}
	return []string{fmt.Sprint(v)}, nil
}

// tls is what the ports speak, nil for no TLS, which is for this machine only.
func (a *serving) tls(log *slog.Logger) (*tls.Config, error) {
	if a.cert == "" && a.key == "" {
		ip, err := netip.ParseAddr(a.address)
		if a.address == "localhost" || err == nil && ip.IsLoopback() {
			return nil, nil
		}
		return nil, errs.E(errs.Invalid, "%s can be reached from other machines, which needs TLS", net.JoinHostPort(a.address, "…")).
			Next("give --server-cert-path and --server-key-path, or listen on 127.0.0.1 and put a TLS proxy in front")
	}
	return certs.Files{Cert: a.cert, Key: a.key}.Config(tls.VersionTLS12, log)
}
