package workload

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// logs are the open logs of this runtime, by path, so that whoever rotates and whoever reads agree.
type logs struct {
	maxBytes int64
	keep     int
	collapse func(f *os.File, n int64) error // takes the first n bytes out of a file

	mu    sync.Mutex
	files map[string]*logFile
}

// logFile is one instance's log. The instance itself appends to it, so it cannot be renamed under it: rotation
// copies the file away and then takes the copied part out. Where the file system can (ext4, xfs) exactly the
// copied blocks are taken out and nothing is lost; elsewhere the file is truncated, and what was written
// between the last read and the truncation is lost, which is microseconds.
type logFile struct {
	path string

	mu   sync.RWMutex
	base int64 // bytes taken out so far: a position for readers that outlives rotation
}

func newLogs(maxBytes int64, keep int) *logs {
	return &logs{maxBytes: maxBytes, keep: keep, files: map[string]*logFile{}, collapse: func(f *os.File, n int64) error {
		return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_COLLAPSE_RANGE, 0, n)
	}}
}

func (l *logs) get(path string) *logFile {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.files[path]
	if f == nil {
		f = &logFile{path: path, base: loadBase(path)}
		l.files[path] = f
	}
	return f
}

// rotate looks at every log once.
func (l *logs) rotate(logger *slog.Logger) {
	l.mu.Lock()
	files := make([]*logFile, 0, len(l.files))
	for _, f := range l.files {
		files = append(files, f)
	}
	l.mu.Unlock()
	for _, f := range files {
		fi, err := os.Stat(f.path)
		if err != nil || fi.Size() <= l.maxBytes {
			continue
		}
		if err := l.rotateOne(f); err != nil {
			logger.Warn("log not rotated", "log", f.path, "error", err)
		}
	}
}

const collapseUnit = 64 << 10 // a multiple of every usual block size

func (l *logs) rotateOne(lf *logFile) error {
	f, err := os.OpenFile(lf.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	tmp := lf.path + ".tmp"
	out, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	defer out.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	// The range must end before the end of the file, on a block.
	whole := (fi.Size() - 1) / collapseUnit * collapseUnit
	if _, err := io.CopyN(out, f, whole); err != nil {
		return err
	}
	lf.mu.Lock()
	defer lf.mu.Unlock()
	taken := whole
	if whole == 0 || l.collapse(f, whole) != nil {
		rest, err := io.Copy(out, f)
		if err != nil {
			return err
		}
		if err := f.Truncate(0); err != nil {
			return err
		}
		taken = whole + rest
	}
	lf.base += taken
	if err := saveBase(lf.path, lf.base); err != nil {
		return err
	}
	for k := l.keep; k > 1; k-- {
		err := os.Rename(rotated(lf.path, k-1), rotated(lf.path, k))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(tmp, rotated(lf.path, 1))
}

func rotated(path string, k int) string { return fmt.Sprintf("%s.%d", path, k) }

// keepLogsOf is how many versions' logs are kept of a service, so that a version that was taken back can still
// be understood.
const keepLogsOf = 20

// pruneLogs removes the logs of the versions that wrote last the longest ago. Called with mu held.
func (r *Runtime) pruneLogs(service string) {
	root := r.path("logs", folder(service))
	live := map[string]bool{}
	for v := range r.slots[service] {
		live[folder(v)] = true
	}
	type gone struct {
		dir  string
		last time.Time
	}
	var list []gone
	entries, _ := os.ReadDir(root)
	for _, e := range entries {
		if live[e.Name()] {
			continue
		}
		g := gone{dir: filepath.Join(root, e.Name())}
		files, _ := os.ReadDir(g.dir)
		for _, f := range files {
			if fi, err := f.Info(); err == nil && fi.ModTime().After(g.last) {
				g.last = fi.ModTime()
			}
		}
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b gone) int { return b.last.Compare(a.last) })
	for _, g := range list[min(len(list), keepLogsOf):] {
		r.logs.drop(g.dir)
		r.discard(g.dir)
	}
}

func (l *logs) drop(dir string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for path := range l.files {
		if filepath.Dir(path) == dir {
			delete(l.files, path)
		}
	}
}

// lastLine is the last line with text in it, made safe for one line of output.
func (lf *logFile) lastLine() string {
	lines := lastLines(lf.path, 5, 4<<10)
	for k := len(lines) - 1; k >= 0; k-- {
		if s := oneLine(lines[k]); s != "" {
			return s
		}
	}
	return ""
}

func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.TrimSpace(s)
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return s
}

// lastLines returns up to n lines from the end of a file, looking at no more than the last maxBytes.
func lastLines(path string, n int, maxBytes int64) []string {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil
	}
	from := max(0, fi.Size()-maxBytes)
	b, err := io.ReadAll(io.NewSectionReader(f, from, fi.Size()-from))
	if err != nil || len(b) == 0 {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if from > 0 && len(lines) > 1 {
		lines = lines[1:] // begins in the middle
	}
	return lines[max(0, len(lines)-n):]
}
