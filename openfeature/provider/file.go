package provider

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/resource"
)

// lookEvery is how often a file is looked at.
const lookEvery = time.Second / 2

// file is a file of flags that is followed.
type file struct {
	path, environment string
	log               *slog.Logger
}

func (f *file) follow(ctx context.Context, got func(*served)) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var seen os.FileInfo
	for {
		now, err := os.Stat(f.path)
		if err != nil {
			return err
		}
		if seen == nil || !now.ModTime().Equal(seen.ModTime()) || now.Size() != seen.Size() || !os.SameFile(now, seen) {
			next, err := f.read()
			if err != nil {
				return err
			}
			seen = now
			got(next)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *file) read() (*served, error) {
	raw, err := readAll(f.path)
	if err != nil {
		return nil, err
	}
	doc, problems := manifest.ReadDocument(manifest.Source{Name: f.path, Data: raw}, flag.MaxBytes)
	if len(problems) > 0 {
		return nil, manifest.Problems(problems)
	}
	plain, err := lower(doc.Raw, f.environment)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	return compile(string(plain), nil, f.log)
}

// lower makes of what only Ringfence's format has what everyone evaluates. What is flagd's already stays as it is.
func lower(raw []byte, environment string) ([]byte, error) {
	if set, problems := flag.Parse(raw); set != nil && len(problems) == 0 {
		return raw, nil
	}
	doc, problems := flag.ParseDocument(raw)
	if len(problems) > 0 {
		return raw, nil // compile says what is wrong, and takes the rest
	}
	plain, problems := flag.Lower(doc, environment, flag.Live{})
	if plain == nil {
		return nil, resource.Refuse(problems)
	}
	return plain, nil
}
