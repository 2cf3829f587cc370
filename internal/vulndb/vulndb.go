package vulndb

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/osv"
)

const (
	shards     = 256
	maxEntries = 5_000_000
	summary    = "database.json"
)

// Index answers questions about databases. Blob is where one is kept, whose content was checked against its digest.
type Index struct {
	Dir  string
	Blob func(ctx context.Context, digest string) (path string, err error)

	mu sync.Mutex // one is taken apart at a time
}

func (x *Index) folder(digest string) string {
	return filepath.Join(x.Dir, strings.TrimPrefix(digest, "sha256:"))
}

// Index makes a database ready.
func (x *Index) Index(ctx context.Context, digest string) (osv.Database, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if db, err := x.summary(digest); err == nil {
		return db, nil
	}
	path, err := x.Blob(ctx, digest)
	if err != nil {
		return osv.Database{}, err
	}
	if err := os.MkdirAll(x.Dir, 0o700); err != nil {
		return osv.Database{}, errs.Wrap(errs.Unavailable, err, "folder of vulnerabilities")
	}
	dir, err := os.MkdirTemp(x.Dir, ".new-")
	if err != nil {
		return osv.Database{}, errs.Wrap(errs.Unavailable, err, "folder of vulnerabilities")
	}
	defer os.RemoveAll(dir) // gone when it was renamed
	db, err := takeApart(ctx, path, dir)
	if err != nil {
		return db, err
	}
	db.Digest = digest
	raw, err := json.Marshal(db)
	if err != nil {
		return db, err
	}
	if err := os.WriteFile(filepath.Join(dir, summary), raw, 0o600); err != nil {
		return db, errs.Wrap(errs.Unavailable, err, "folder of vulnerabilities")
	}
	return db, x.install(dir, digest)
}

// install puts a database in its place, and takes away those that were there before it.
func (x *Index) install(dir, digest string) error {
	to := x.folder(digest)
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.Rename(dir, to); err != nil {
		return errs.Wrap(errs.Unavailable, err, "folder of vulnerabilities")
	}
	others, err := os.ReadDir(x.Dir)
	if err != nil {
		return err
	}
	for _, o := range others {
		if full := filepath.Join(x.Dir, o.Name()); full != to {
			err = errors.Join(err, os.RemoveAll(full))
		}
	}
	return err
}

func (x *Index) summary(digest string) (db osv.Database, err error) {
	raw, err := os.ReadFile(filepath.Join(x.folder(digest), summary))
	if err != nil {
		return db, err
	}
	return db, json.Unmarshal(raw, &db)
}

// takeApart writes what each entry says of each package to the file that the package belongs to.
func takeApart(ctx context.Context, path, dir string) (db osv.Database, err error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		return db, errs.E(errs.Invalid, "expected a zip file of OSV's entries, as osv.dev publishes them: %v", err)
	}
	defer z.Close()
	w, err := newWriter(dir)
	if err != nil {
		return db, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	seen := map[string]bool{}
	for _, f := range z.File {
		if err := ctx.Err(); err != nil {
			return db, err
		}
		if f.FileInfo().IsDir() || !strings.HasSuffix(f.Name, ".json") {
			continue
		}
		e, err := readEntry(f)
		if err != nil {
			return db, errs.Wrap(errs.Invalid, err, "%.200s", f.Name)
		}
		if e == nil {
			continue
		}
		if db.Entries++; db.Entries > maxEntries {
			return db, errs.E(errs.Invalid, "the database has more than %d entries", maxEntries)
		}
		if e.Modified.After(db.Newest) {
			db.Newest = e.Modified
		}
		for _, a := range e.Advisories() {
			if seen[osv.Family(a.Ecosystem)] = true; len(seen) > 1000 {
				return db, errs.E(errs.Invalid, "the database names more than 1000 ecosystems")
			}
			if err := w.write(a); err != nil {
				return db, err
			}
		}
	}
	if db.Entries == 0 {
		return db, errs.E(errs.Invalid, "the zip file has no entry of OSV")
	}
	for name := range seen {
		db.Ecosystems = append(db.Ecosystems, name)
	}
	slices.Sort(db.Ecosystems)
	return db, nil
}

func readEntry(f *zip.File) (*osv.Entry, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, osv.MaxEntry+1))
	if err != nil {
		return nil, err
	}
	return osv.Read(raw)
}

type writer struct {
	files   [shards]*os.File
	buffers [shards]*bufio.Writer
}

func newWriter(dir string) (*writer, error) {
	w := &writer{}
	for i := range w.files {
		f, err := os.OpenFile(filepath.Join(dir, shardName(i)), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return nil, errors.Join(errs.Wrap(errs.Unavailable, err, "folder of vulnerabilities"), w.close())
		}
		w.files[i], w.buffers[i] = f, bufio.NewWriterSize(f, 16<<10)
	}
	return w, nil
}

func (w *writer) write(a osv.Advisory) error {
	raw, err := json.Marshal(a)
	if err != nil {
		return err
	}
	key := keyOf(osv.Family(a.Ecosystem), a.Name)
	b := w.buffers[shardOf(key)]
	_, err = fmt.Fprintf(b, "%s\t%s\n", key, raw)
	return err
}

func (w *writer) close() error {
	var all error
	for i, f := range w.files {
		if f != nil {
			all = errors.Join(all, w.buffers[i].Flush(), f.Close())
		}
	}
	return all
}

// keyOf is a package as it stands before each line; a name cannot end it.
func keyOf(family, name string) string {
	return strings.NewReplacer("\t", " ", "\n", " ").Replace(family) + "|" + strings.NewReplacer("\t", " ", "\n", " ").Replace(name)
}

func shardOf(key string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int(h.Sum32() % shards)
}

func shardName(i int) string { return fmt.Sprintf("%02x", i) }

// Find is what a database says of packages.
func (x *Index) Find(ctx context.Context, digest string, packages []osv.Named) ([]osv.Advisory, error) {
	if _, err := x.Index(ctx, digest); err != nil {
		return nil, err
	}
	byShard := map[int]map[string]bool{}
	for _, p := range packages {
		key := keyOf(p.Ecosystem, p.Name)
		s := shardOf(key)
		if byShard[s] == nil {
			byShard[s] = map[string]bool{}
		}
		byShard[s][key] = true
	}
	var all []osv.Advisory
	for shard, keys := range byShard {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found, err := scan(filepath.Join(x.folder(digest), shardName(shard)), keys)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func scan(path string, keys map[string]bool) ([]osv.Advisory, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errs.E(errs.Unavailable, "the database of vulnerabilities is being replaced")
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []osv.Advisory
	lines := bufio.NewReaderSize(f, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if key, raw, ok := bytes.Cut(line, []byte("\t")); ok && keys[string(key)] {
			var a osv.Advisory
			if err := json.Unmarshal(raw, &a); err != nil {
				return nil, errs.Wrap(errs.Internal, err, "database of vulnerabilities")
			}
			all = append(all, a)
		}
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		}
	}
}
