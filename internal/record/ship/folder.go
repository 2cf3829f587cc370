package ship

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/audit"
)

// Folder keeps a file for each checkpoint, named by how many events it covers.
type Folder struct {
	Dir  string
	Keep int // at most so many, the newest; 0 for all
}

const ending = ".checkpoint"

// readBack is how many of the newest are compared with the record: each covers those before it.
const readBack = 20

// Name implements record.Ship.
func (f Folder) Name() string { return f.Dir }

// Ship writes a checkpoint; it is there whole or not at all.
func (f Folder) Ship(_ context.Context, c audit.Checkpoint, signed []byte) error {
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(f.Dir, fmt.Sprintf("%020d%s", c.Size, ending))
	tmp, err := os.CreateTemp(f.Dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(signed)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return f.sweep()
}

func (f Folder) sweep() error {
	names, err := f.names()
	if err != nil || f.Keep == 0 || len(names) <= f.Keep {
		return err
	}
	for _, n := range names[f.Keep:] {
		if err := os.Remove(filepath.Join(f.Dir, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// names are the files, of the most events first.
func (f Folder) names() ([]string, error) {
	entries, err := os.ReadDir(f.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasSuffix(e.Name(), ending) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, err
}

// Shipped returns the newest checkpoints.
func (f Folder) Shipped(context.Context) ([][]byte, error) {
	names, err := f.names()
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, n := range names[:min(len(names), readBack)] {
		b, err := readSome(filepath.Join(f.Dir, n))
		if errors.Is(err, fs.ErrNotExist) { // another control plane swept it
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

func readSome(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > audit.MaxCheckpoint {
		return nil, fmt.Errorf("%s has %d bytes: expected a checkpoint", path, info.Size())
	}
	return os.ReadFile(path)
}
