package flagserve

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// FromURIs are the sources of flagd's URIs: file:PATH, http://…, https://…, grpc://HOST:PORT and grpcs://HOST:PORT.
func FromURIs(uris []string) (paths []string, remotes []*Remote, err error) {
	for _, uri := range uris {
		if remote(uri) {
			if err := checkRemote(uri); err != nil {
				return nil, nil, errs.Wrap(errs.Invalid, err, "source %q", uri)
			}
			paths, remotes = append(paths, uri), append(remotes, &Remote{URI: uri})
			continue
		}
		path, ok := trimFile(uri)
		if !ok || path == "" {
			return nil, nil, errs.E(errs.Invalid, "source %q: expected file:PATH, http(s)://… or grpc(s)://HOST:PORT", uri).
				Next("Fetch what is elsewhere into a file; it is read again when it changes.")
		}
		paths = append(paths, path)
	}
	return paths, remotes, nil
}

// checkRemote refuses what is no address.
func checkRemote(uri string) error {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return errs.E(errs.Invalid, "expected an address")
	case u.Host == "":
		return errs.E(errs.Invalid, "there is no host")
	case strings.HasPrefix(u.Scheme, "grpc") && (u.Port() == "" || u.Path != ""):
		return errs.E(errs.Invalid, "expected %s://HOST:PORT", u.Scheme)
	}
	return nil
}

// source is one of flagd's list.
type source struct {
	URI, Provider        string
	AuthHeader, CertPath string
	Headers              map[string]string
	TLS                  bool
	ProviderID, Selector string
	Interval, TimeoutS   uint32 // seconds
	IncrementalUpdates   bool
	OAuth                json.RawMessage
}

// FromSources are the sources in flagd's list of them: [{"uri": "flags.json", "provider": "file"}].
func FromSources(raw string) (paths []string, remotes []*Remote, err error) {
	var sources []source
	if err := json.Unmarshal([]byte(raw), &sources); err != nil {
		return nil, nil, errs.Wrap(errs.Invalid, err, `sources: expected a JSON list such as [{"uri":"flags.json","provider":"file"}]`)
	}
	for i, s := range sources {
		switch {
		case s.URI == "":
			return nil, nil, errs.E(errs.Invalid, "sources[%d]: there is no uri", i)
		case slices.Contains([]string{"file", "fsnotify", "fileinfo"}, s.Provider):
			path, _ := trimFile(s.URI)
			if path == "" {
				return nil, nil, errs.E(errs.Invalid, "sources[%d]: there is no uri", i)
			}
			paths = append(paths, path)
		case s.Provider == "http" || s.Provider == "grpc":
			r, err := s.remote()
			if err != nil {
				return nil, nil, errs.Wrap(errs.Invalid, err, "sources[%d]", i)
			}
			paths, remotes = append(paths, r.URI), append(remotes, r)
		default:
			return nil, nil, errs.E(errs.Invalid, "sources[%d]: provider %q: expected file, fsnotify, fileinfo, http or grpc", i, s.Provider)
		}
	}
	return paths, remotes, nil
}

// remote is a source that is elsewhere.
func (s source) remote() (*Remote, error) {
	uri := s.URI
	if s.Provider == "grpc" && !remote(uri) {
		uri = "grpc://" + uri
		if s.TLS || s.CertPath != "" {
			uri = "grpcs://" + s.URI
		}
	}
	if strings.HasPrefix(uri, "grpc") != (s.Provider == "grpc") || !remote(uri) {
		return nil, errs.E(errs.Invalid, "uri %q is not one of provider %s", s.URI, s.Provider)
	}
	if err := checkRemote(uri); err != nil {
		return nil, err
	}
	if len(s.OAuth) > 0 && string(s.OAuth) != "null" {
		return nil, errs.E(errs.Invalid, "oauth is not supported").Next("give authHeader or headers, or fetch into a file")
	}
	if s.IncrementalUpdates {
		return nil, errs.E(errs.Invalid, "incrementalUpdates is not supported: each answer is all that a source has")
	}
	r := &Remote{URI: uri, Every: time.Duration(s.Interval) * time.Second, Limit: time.Duration(s.TimeoutS) * time.Second, Headers: map[string]string{},
		Selector: s.Selector, Provider: s.ProviderID, CertPath: s.CertPath}
	if s.AuthHeader != "" {
		r.Headers["Authorization"] = s.AuthHeader
	}
	for name, v := range s.Headers {
		r.Headers[name] = v
	}
	return r, nil
}
