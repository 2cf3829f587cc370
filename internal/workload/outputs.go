package workload

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	entries "github.com/ringfence/ringfence/internal/logs"
)

// Outputs are the logs of instances, of those that are gone too, as streams that can be read on from any place.
type Outputs struct{ runtime *Runtime }

// Outputs returns them.
func (r *Runtime) Outputs() Outputs { return Outputs{r} }

// Streams lists the logs. A file that is made anew under the name of an old one is another stream.
func (o Outputs) Streams() []entries.Stream {
	paths, _ := filepath.Glob(filepath.Join(globEscape(o.runtime.path("logs")), "*", "*", "*.log"))
	out := make([]entries.Stream, 0, len(paths))
	for _, path := range paths {
		dir := filepath.Dir(path)
		version, err := url.PathUnescape(filepath.Base(dir))
		service, err2 := url.PathUnescape(filepath.Base(filepath.Dir(dir)))
		n := strings.TrimSuffix(filepath.Base(path), ".log")
		if _, err3 := strconv.Atoi(n); errors.Join(err, err2, err3) != nil {
			continue
		}
		lf := o.runtime.logs.get(path)
		lf.mu.RLock()
		fi, err := os.Stat(path)
		base := lf.base
		lf.mu.RUnlock()
		if err != nil || !fi.Mode().IsRegular() {
			continue
		}
		out = append(out, entries.Stream{ID: streamID(path, fi), Size: base + fi.Size(), Labels: entries.Labels{Service: service, Version: version, Instance: n}})
	}
	return out
}

func streamID(path string, fi os.FileInfo) string {
	id := uint64(0)
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		id = st.Ino
	}
	dir := filepath.Dir(path)
	return filepath.Join(filepath.Base(filepath.Dir(dir)), filepath.Base(dir), filepath.Base(path)) + "#" + strconv.FormatUint(id, 16)
}

// Read reads from a place in a log, or from what is left after it. What the last rotation took away is still there.
func (o Outputs) Read(id string, at int64, most int) ([]byte, int64, error) {
	rel, _, _ := strings.Cut(id, "#")
	if !filepath.IsLocal(rel) {
		return nil, at, fmt.Errorf("no stream %q", id)
	}
	path := o.runtime.path("logs", rel)
	lf := o.runtime.logs.get(path)
	lf.mu.RLock()
	defer lf.mu.RUnlock()
	from, name := at-lf.base, path
	if from < 0 {
		name = rotated(path, 1)
		size := int64(0)
		if fi, err := os.Stat(name); err == nil {
			size = fi.Size()
		}
		if from += size; size == 0 {
			name, from, at = path, 0, lf.base
		} else if from < 0 {
			from, at = 0, lf.base-size
		}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, at, err
	}
	defer f.Close()
	b := make([]byte, most)
	n, err := f.ReadAt(b, from)
	if err == io.EOF {
		err = nil
	}
	return b[:n], at, err
}

// loadBase is how much rotations took out of a log before this process began.
func loadBase(path string) int64 {
	b, err := os.ReadFile(path + ".base")
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// saveBase keeps it. A crash between a rotation and this makes readers see a part of the log again.
func saveBase(path string, base int64) error {
	return os.WriteFile(path+".base", strconv.AppendInt(nil, base, 10), 0o600)
}
