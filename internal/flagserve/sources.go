package flagserve

import (
	"encoding/json"
	"slices"

	"github.com/ringfence/ringfence/internal/errs"
)

// FromURIs are the paths of flagd's URIs of files.
func FromURIs(uris []string) ([]string, error) {
	var paths []string
	for _, uri := range uris {
		path, ok := trimFile(uri)
		if !ok || path == "" {
			return nil, errs.E(errs.Invalid, "source %q: expected file:PATH", uri).Next("Fetch what is elsewhere into a file; it is read again when it changes.")
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// FromSources are the paths in flagd's list of sources: [{"uri": "flags.json", "provider": "file"}].
func FromSources(raw string) ([]string, error) {
	var sources []struct{ URI, Provider string }
	if err := json.Unmarshal([]byte(raw), &sources); err != nil {
		return nil, errs.Wrap(errs.Invalid, err, `sources: expected a JSON list such as [{"uri":"flags.json","provider":"file"}]`)
	}
	var paths []string
	for i, s := range sources {
		if !slices.Contains([]string{"file", "fsnotify", "fileinfo"}, s.Provider) {
			return nil, errs.E(errs.Invalid, "sources[%d]: provider %q: expected file, fsnotify or fileinfo", i, s.Provider)
		}
		path, _ := trimFile(s.URI)
		if s.URI == "" || path == "" {
			return nil, errs.E(errs.Invalid, "sources[%d]: there is no uri", i)
		}
		paths = append(paths, path)
	}
	return paths, nil
}
