package accesslog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// Options of a Log; zero values have sound defaults.
type Options struct {
	Path   string // - for standard output
	Size   int64  // of a file when it is put aside; default 100 MiB
	Keep   int    // how many of these; default 5
	Logger *slog.Logger
}

const (
	often   = 250 * time.Millisecond
	fullAt  = 64 << 10 // bytes that are written without waiting further
	waiting = 4 << 20  // bytes that may wait
)

// Log takes lines.
type Log struct {
	o    Options
	wake chan struct{}

	mu    sync.Mutex
	lines []byte
	lost  int64

	file *os.File // used by Run alone
	size int64
}

// New opens the file.
func New(o Options) (*Log, error) {
	if o.Size <= 0 {
		o.Size = 100 << 20
	}
	if o.Keep <= 0 {
		o.Keep = 5
	}
	l := &Log{o: o, wake: make(chan struct{}, 1)}
	if o.Path == "-" {
		l.file = os.Stdout
		return l, nil
	}
	if err := l.open(); err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "access log").Next("name a file in a folder that Ringfence may write to, or - for standard output")
	}
	return l, nil
}

func (l *Log) open() error {
	f, err := os.OpenFile(l.o.Path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size = f, info.Size()
	return nil
}

// Write takes a line with its end and keeps a copy. It never waits for the disk.
func (l *Log) Write(line []byte) {
	l.mu.Lock()
	full := false
	if len(l.lines)+len(line) > waiting {
		l.lost++
	} else {
		before := len(l.lines)
		l.lines = append(l.lines, line...)
		full = before < fullAt && len(l.lines) >= fullAt
	}
	l.mu.Unlock()
	if full {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// Run writes what was taken until ctx ends, and then the rest.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(often)
	defer tick.Stop()
	var spare []byte
	for {
		select {
		case <-ctx.Done():
			l.flush(spare)
			if l.o.Path != "-" && l.file != nil {
				return l.file.Close()
			}
			return nil
		case <-tick.C:
		case <-l.wake:
		}
		spare = l.flush(spare)
	}
}

// flush writes what waits, and returns its memory to be used again.
func (l *Log) flush(spare []byte) []byte {
	l.mu.Lock()
	lines, lost := l.lines, l.lost
	l.lines, l.lost = spare[:0], 0
	l.mu.Unlock()
	if lost > 0 {
		lines = fmt.Appendf(lines, "{\"time\":%q,\"left_out\":%d}\n", time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"), lost)
	}
	if len(lines) == 0 {
		return lines
	}
	if err := l.put(lines); err != nil {
		l.o.Logger.Error("the access log cannot be written", "err", err)
	}
	if cap(lines) > 1<<20 {
		return nil
	}
	return lines
}

func (l *Log) put(lines []byte) error {
	if l.o.Path != "-" {
		if err := l.ready(); err != nil {
			return err
		}
	}
	n, err := l.file.Write(lines)
	l.size += int64(n)
	if err == nil && n < len(lines) {
		err = io.ErrShortWrite
	}
	return err
}

// ready puts a full file aside, and opens one that was moved away.
func (l *Log) ready() error {
	if l.file != nil {
		held, err := l.file.Stat()
		there, gone := os.Stat(l.o.Path)
		if err == nil && gone == nil && os.SameFile(held, there) && l.size < l.o.Size {
			return nil
		}
		_ = l.file.Close()
		l.file = nil
		if err == nil && gone == nil && os.SameFile(held, there) {
			if err := l.rotate(); err != nil {
				return err
			}
		}
	}
	return l.open()
}

func (l *Log) rotate() error {
	for i := l.o.Keep - 1; i > 0; i-- {
		if err := os.Rename(l.old(i), l.old(i+1)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return os.Rename(l.o.Path, l.old(1))
}

func (l *Log) old(i int) string { return l.o.Path + "." + strconv.Itoa(i) }
