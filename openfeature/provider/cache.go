package provider

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/ringfence/ringfence/internal/flag"
)

// cache is a file with the last flags of a server.
type cache struct {
	path, selector, environment string
	log                         *slog.Logger
	kept                        string // hash of what is in it
}

// kept is what is in the file.
type kept struct {
	Selector    string          `json:"selector"`
	Environment string          `json:"environment"`
	Context     map[string]any  `json:"context,omitempty"`
	Document    json.RawMessage `json:"document"`
}

func newCache(o Options) *cache {
	if o.Cache == "" {
		return nil
	}
	return &cache{path: o.Cache, selector: o.Selector, environment: o.Environment, log: o.Log}
}

// load returns the flags, nil when there are none for this client.
func (c *cache) load() *served {
	raw, err := readAll(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var k kept
	if err == nil {
		err = json.Unmarshal(raw, &k)
	}
	if err == nil && (k.Selector != c.selector || k.Environment != c.environment) {
		err = errors.New("they are of another selector or environment")
	}
	var s *served
	if err == nil {
		s, err = compile(string(k.Document), k.Context, c.log)
	}
	if err != nil {
		c.log.Warn("flags: those that were kept cannot be used", "file", c.path, "err", err)
		return nil
	}
	c.kept = s.Hash
	return s
}

// keep writes flags down.
func (c *cache) keep(s *served) {
	if s.Hash == c.kept {
		return
	}
	raw, err := json.Marshal(kept{Selector: c.selector, Environment: c.environment, Context: s.context, Document: s.Raw})
	if err == nil {
		err = replace(c.path, raw)
	}
	if err != nil {
		c.log.Warn("flags: they cannot be kept for the next start", "file", c.path, "err", err)
		return
	}
	c.kept = s.Hash
}

// replace writes a file so that whoever reads it, also after a crash, finds it old or new, never half. Processes that share a file do not mix
// what they write.
func replace(path string, b []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error counts
	}
	return err
}

// readAll reads a file of flags.
func readAll(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const limit = 2 * flag.MaxBytes
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && len(raw) > limit {
		err = errors.New("the file is too large")
	}
	return raw, err
}
