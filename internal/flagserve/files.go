package flagserve

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/resource"
)

// Files are sources of flags, those later in the list winning.
type Files struct {
	Paths       []string // of files, and the URIs of Remotes
	Remotes     []*Remote
	Environment string        // whose state of the flags is meant, where a file has several
	Every       time.Duration // how often they are looked at, a fifth of a second when 0
	Log         *slog.Logger

	seen []os.FileInfo // when they were last read, nil for one that was not there
	had  []int         // the changes of Remotes that were read
	said string        // the last complaint
}

// Load reads all files. What is wrong but leaves something to serve is logged.
func (f *Files) Load() (*flag.Snapshot, error) {
	if len(f.Paths) == 0 {
		return nil, errs.E(errs.Invalid, "there are no files of flags")
	}
	seen := f.look()
	if err := f.first(); err != nil {
		return nil, err
	}
	sets := make([]flag.Served, 0, len(f.Paths))
	var warnings []manifest.Problem
	for _, path := range f.Paths {
		set, problems, err := f.read(path)
		if err != nil {
			f.seen = seen
			return nil, err
		}
		sets = append(sets, set)
		warnings = append(warnings, problems...)
	}
	f.seen = seen
	for _, p := range warnings {
		f.Log.Warn("flags: something is wrong, and costs only what it is in", "problem", p.String())
	}
	return flag.SnapshotOf(sets...), nil
}

// first has the remote sources get what they have, where they did not yet, and notes what they have now.
func (f *Files) first() error {
	f.had = make([]int, len(f.Remotes))
	for i, r := range f.Remotes {
		if data, _ := r.held(); data == nil {
			if err := r.first(context.Background()); err != nil {
				return errs.Wrap(errs.Invalid, err, "cannot get the flags from %s", r.URI)
			}
		}
		_, f.had[i] = r.held()
	}
	return nil
}

// read reads one source.
func (f *Files) read(path string) (flag.Served, []manifest.Problem, error) {
	for _, r := range f.Remotes {
		if r.URI == path {
			data, _ := r.held()
			return parse(r.Name(), data, f.Environment)
		}
	}
	return readFile(path, f.Environment)
}

func (f *Files) look() []os.FileInfo {
	seen := make([]os.FileInfo, len(f.Paths))
	for i, path := range f.Paths {
		if !remote(path) {
			seen[i], _ = os.Stat(path) // what is not there is nil, and reading says so
		}
	}
	return seen
}

// changed reports whether a source has another content than the one that was read.
func (f *Files) changed() bool {
	for i, r := range f.Remotes {
		if _, now := r.held(); now != f.had[i] {
			return true
		}
	}
	for i, now := range f.look() {
		was := f.seen[i]
		switch {
		case (now == nil) != (was == nil):
			return true
		case now != nil && (!now.ModTime().Equal(was.ModTime()) || now.Size() != was.Size() || !os.SameFile(now, was)):
			return true
		}
	}
	return false
}

// Follow reads the files again whenever they change, until ctx is done. told is called with what is to be served, or why it stays as it is.
func (f *Files) Follow(ctx context.Context, told func(*flag.Snapshot, error)) {
	every := f.Every
	if every <= 0 {
		every = time.Second / 5
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	var remotes sync.WaitGroup
	defer remotes.Wait()
	for _, r := range f.Remotes {
		remotes.Go(func() { r.follow(ctx, f.complain(r)) })
	}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if !f.changed() {
			continue
		}
		snapshot, err := f.Load()
		told(snapshot, err)
		switch {
		case err == nil:
			f.said = ""
			f.Log.Info("flags: read again", "version", snapshot.Version, "flags", snapshot.All().Len())
		case err.Error() != f.said:
			f.said = err.Error()
			f.Log.Error("flags: what was read last is served on", "err", err)
		}
	}
}

// complain logs what is wrong with a remote source when it begins, and when it is over.
func (f *Files) complain(r *Remote) func(error) {
	said := ""
	return func(err error) {
		switch {
		case err == nil && said != "":
			f.Log.Info("flags: the source answers again", "source", r.URI)
			said = ""
		case err != nil && err.Error() != said:
			f.Log.Error("flags: the source does not answer, and what it had last is served on", "source", r.URI, "err", err)
			said = err.Error()
		}
	}
}

// readFile reads a file of flags, flagd's or one with what only Ringfence has, which is lowered for an environment.
func readFile(path, environment string) (flag.Served, []manifest.Problem, error) {
	data, err := readAll(path, flag.MaxBytes)
	if err != nil {
		return flag.Served{}, nil, errs.Wrap(errs.Invalid, err, "cannot read the flags")
	}
	return parse(path, data, environment)
}

// parse reads a document of flags from a source of that name.
func parse(path string, data []byte, environment string) (flag.Served, []manifest.Problem, error) {
	file, problems := manifest.ReadDocument(manifest.Source{Name: path, Data: data}, flag.MaxBytes)
	if len(problems) > 0 {
		return flag.Served{}, nil, errs.Wrap(errs.Invalid, manifest.Problems(problems), "the flags cannot be read")
	}
	raw, set, found, err := plain(file.Raw, environment)
	if err != nil {
		return flag.Served{}, nil, errs.Wrap(errs.Invalid, err, "%s", path)
	}
	if set == nil {
		return flag.Served{}, nil, errs.Wrap(errs.Invalid, manifest.Problems(file.Locate(found)), "the flags cannot be read")
	}
	return flag.Served{Set: set, Source: path, Raw: raw}, file.Locate(found), nil
}

// plain is a document as every flagd provider reads it, and compiled. One that is flagd's already stays as it is.
func plain(raw []byte, environment string) ([]byte, *flag.Set, []resource.Problem, error) {
	set, problems := flag.Parse(raw)
	if set != nil && len(problems) == 0 {
		return raw, set, nil, nil
	}
	doc, wrong := flag.ParseDocument(raw)
	if len(wrong) > 0 {
		return raw, set, wrong, nil
	}
	lowered, wrong := flag.Lower(doc, environment, flag.Live{})
	if lowered == nil {
		return nil, nil, nil, resource.Refuse(wrong)
	}
	set, more := flag.Parse(lowered)
	return lowered, set, append(wrong, more...), nil
}

func readAll(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = errors.New(path + " is too large")
	}
	return data, err
}

// trimFile is the path of a file: URI, and whether it is one; what is none is a path already.
func trimFile(uri string) (string, bool) { return strings.CutPrefix(uri, "file:") }
