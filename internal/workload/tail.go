package workload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// LogQuery asks for the output of a version's instances, also of one that is gone.
type LogQuery struct {
	Service, Version string
	Instance         int  // 0 for all; their lines then begin with the number
	Tail             int  // last lines of each instance, at most 10000
	Follow           bool // go on with what is written, until the reader is closed or ctx ends
}

const (
	mostTail     = 10_000
	mostTailSize = 8 << 20
	mostLine     = 64 << 10 // longer lines are cut into several
	followPause  = 200 * time.Millisecond
)

// Logs reads logs. The reader must be closed.
func (r *Runtime) Logs(ctx context.Context, q LogQuery) (io.ReadCloser, error) {
	if q.Tail < 0 || q.Tail > mostTail {
		return nil, errs.E(errs.Invalid, "tail is %d; expected 0 to %d lines", q.Tail, mostTail)
	}
	dir := r.logDir(q.Service, q.Version)
	ctx, cancel := context.WithCancel(ctx)
	t := &tailer{logs: r.logs, dir: dir, q: q, pos: map[int]int64{}, part: map[int][]byte{}}
	if len(t.list()) == 0 {
		cancel()
		return nil, errs.E(errs.Missing, "no log of %s %s in this unit", q.Service, q.Version)
	}
	pr, pw := io.Pipe()
	t.out = pw
	go func() {
		defer cancel()
		_ = pw.CloseWithError(t.run(ctx))
	}()
	return closer{pr, cancel}, nil
}

type closer struct {
	*io.PipeReader
	cancel func()
}

func (c closer) Close() error {
	c.cancel()
	return c.PipeReader.Close()
}

type tailer struct {
	logs *logs
	dir  string
	q    LogQuery
	out  io.Writer
	pos  map[int]int64  // per instance, position of what is read next
	part map[int][]byte // per instance, a line that has no end yet
}

// list returns the instances that have a log.
func (t *tailer) list() []int {
	paths, _ := filepath.Glob(filepath.Join(globEscape(t.dir), "*.log"))
	var ns []int
	for _, p := range paths {
		n, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(p), ".log"))
		if err == nil && (t.q.Instance == 0 || t.q.Instance == n) {
			ns = append(ns, n)
		}
	}
	slices.Sort(ns)
	return ns
}

func (t *tailer) run(ctx context.Context) error {
	for _, n := range t.list() {
		if err := t.first(n); err != nil {
			return err
		}
	}
	tick := time.NewTicker(followPause)
	defer tick.Stop()
	for t.q.Follow {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, n := range t.list() {
			if err := t.more(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// first writes the last lines and remembers where the file ended.
func (t *tailer) first(n int) error {
	lf := t.logs.get(filepath.Join(t.dir, strconv.Itoa(n)+".log"))
	lf.mu.RLock()
	lines := lastLines(lf.path, t.q.Tail, mostTailSize)
	if missing := t.q.Tail - len(lines); missing > 0 {
		lines = append(lastLines(rotated(lf.path, 1), missing, mostTailSize), lines...)
	}
	if fi, err := os.Stat(lf.path); err == nil {
		t.pos[n] = lf.base + fi.Size()
	}
	lf.mu.RUnlock()
	for _, l := range lines {
		if err := t.line(n, []byte(l)); err != nil {
			return err
		}
	}
	return nil
}

// more writes the whole lines that came since.
func (t *tailer) more(n int) error {
	b, err := t.read(n)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil // the file may be gone for now; the next look will tell
	}
	b = append(t.part[n], b...)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 && len(b) < mostLine {
			break
		}
		end, skip := i, i+1
		if i < 0 || i > mostLine {
			end, skip = mostLine, mostLine
		}
		if err := t.line(n, b[:end]); err != nil {
			return err
		}
		b = b[skip:]
	}
	t.part[n] = bytes.Clone(b)
	return nil
}

func (t *tailer) read(n int) ([]byte, error) {
	lf := t.logs.get(filepath.Join(t.dir, strconv.Itoa(n)+".log"))
	lf.mu.RLock()
	defer lf.mu.RUnlock()
	f, err := os.Open(lf.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	at := max(0, t.pos[n]-lf.base)
	buf := make([]byte, 1<<20)
	k, err := f.ReadAt(buf, at)
	t.pos[n] = lf.base + at + int64(k)
	return buf[:k], err
}

func (t *tailer) line(n int, b []byte) error {
	prefix := ""
	if t.q.Instance == 0 {
		prefix = strconv.Itoa(n) + " | "
	}
	_, err := fmt.Fprintf(t.out, "%s%s\n", prefix, b)
	return err
}
