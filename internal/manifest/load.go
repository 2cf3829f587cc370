package manifest

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// maxTotal is how much is read from all files together.
const maxTotal = 32 << 20

// Load reads the files that paths name: a file, a folder (its *.yaml, *.yml and *.json, not those of folders within), or
// "-" for stdin.
func Load(paths []string, stdin io.Reader) ([]Source, error) {
	if len(paths) == 0 {
		return nil, errs.E(errs.Invalid, "no files given, expected a file, a folder or - for standard input")
	}
	var all []Source
	total := 0
	for _, path := range paths {
		names, err := expand(path)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			src, err := load(name, stdin)
			if err != nil {
				return nil, err
			}
			if total += len(src.Data); total > maxTotal {
				return nil, errs.E(errs.Invalid, "%s: more than %d MiB in all files", name, maxTotal>>20)
			}
			all = append(all, src)
		}
	}
	return all, nil
}

// expand lists the files of a folder in order of their names.
func expand(path string) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "cannot read resources")
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "cannot read resources")
	}
	var names []string
	for _, e := range entries {
		ext := strings.ToLower(filepath.Ext(e.Name()))
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && slices.Contains([]string{".yaml", ".yml", ".json"}, ext) {
			names = append(names, filepath.Join(path, e.Name()))
		}
	}
	if len(names) == 0 {
		return nil, errs.E(errs.Invalid, "%s holds no *.yaml, *.yml or *.json file", path)
	}
	return names, nil
}

// load reads one byte more than allowed, so that Read can tell.
func load(name string, stdin io.Reader) (Source, error) {
	from, shown := stdin, name
	if name == "-" {
		shown = "stdin"
	} else {
		f, err := os.Open(name)
		if err != nil {
			return Source{}, errs.Wrap(errs.Invalid, err, "cannot read resources")
		}
		defer f.Close()
		from = f
	}
	data, err := io.ReadAll(io.LimitReader(from, MaxFile+1))
	if err != nil {
		return Source{}, errs.Wrap(errs.Invalid, err, "cannot read %s", shown)
	}
	return Source{Name: shown, Data: data}, nil
}
