package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

const (
	prefix = "sha256:"
	// mode lets the owner run an artifact, and nobody change it.
	mode = 0o500
	// abandoned is the age at which a temporary file has no writer any more.
	abandoned = 24 * time.Hour
)

var digestRE = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Store is a folder of blobs. Several processes may use one folder.
type Store struct{ dir string }

// New opens the store in dir, which it makes when it is not there, and removes what crashed writers left.
func New(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir}
	if err := os.MkdirAll(s.temp(), 0o700); err != nil {
		return nil, fmt.Errorf("artifact folder: %w", err)
	}
	left, err := os.ReadDir(s.temp())
	if err != nil {
		return nil, fmt.Errorf("artifact folder: %w", err)
	}
	for _, e := range left {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > abandoned {
			_ = os.Remove(filepath.Join(s.temp(), e.Name())) // another process may have been faster
		}
	}
	return s, nil
}

func (s *Store) temp() string { return filepath.Join(s.dir, "tmp") }

// Path is where the blob is or would be. The digest becomes part of a file name, so anything else is refused.
func (s *Store) Path(digest string) (string, error) {
	if !digestRE.MatchString(digest) {
		return "", errs.E(errs.Invalid, "digest %.80q: expected sha256: and 64 hexadecimal digits", digest)
	}
	hexes := strings.TrimPrefix(digest, prefix)
	return filepath.Join(s.dir, "sha256", hexes[:2], hexes), nil
}

// Put keeps what r holds, at most limit bytes, and says under which digest. Putting it again changes nothing.
func (s *Store) Put(ctx context.Context, r io.Reader, limit int64) (digest string, size int64, err error) {
	return s.put(ctx, r, limit, "")
}

// put refuses content of another digest when one is wanted.
func (s *Store) put(ctx context.Context, r io.Reader, limit int64, want string) (digest string, size int64, err error) {
	f, err := os.CreateTemp(s.temp(), "put-")
	if err != nil {
		return "", 0, notKept(err)
	}
	defer func() {
		_ = f.Close()           // closed before when all went well
		_ = os.Remove(f.Name()) // gone when it was renamed
	}()
	h := sha256.New()
	size, err = io.Copy(io.MultiWriter(f, h), io.LimitReader(&ctxReader{ctx, r}, limit+1))
	if err != nil {
		return "", 0, notKept(err)
	}
	digest = prefix + hex.EncodeToString(h.Sum(nil))
	switch {
	case size > limit:
		return "", 0, errs.E(errs.Invalid, "the artifact has more than %d bytes, the most that is taken", limit)
	case size == 0:
		return "", 0, errs.E(errs.Invalid, "the artifact is empty")
	case want != "" && digest != want:
		return "", 0, errs.E(errs.Unavailable, "got an artifact with digest %s, expected %s", digest, want)
	}
	return digest, size, s.keep(f, digest)
}

// notKept tells a folder that takes nothing now, as on a full disk, from what is wrong with the reader.
func notKept(err error) error {
	if disk, ok := errors.AsType[*fs.PathError](err); ok {
		return errs.Wrap(errs.Unavailable, disk.Err, "keep artifact")
	}
	return fmt.Errorf("keep artifact: %w", err)
}

// keep makes f durable and then visible.
func (s *Store) keep(f *os.File, digest string) error {
	path, err := s.Path(digest)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return notKept(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return notKept(err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return notKept(err)
	}
	// The folder of the folder too: it may just have been made.
	return errors.Join(syncDir(filepath.Dir(path)), syncDir(filepath.Join(s.dir, "sha256")), syncDir(s.dir))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Size is the size of a blob, errs.Missing when it is not here.
func (s *Store) Size(_ context.Context, digest string) (int64, error) {
	path, err := s.Path(digest)
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, missing(err, digest)
	}
	return info.Size(), nil
}

func missing(err error, digest string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errs.E(errs.Missing, "there is no artifact %s", digest)
	}
	return fmt.Errorf("artifact %s: %w", digest, err)
}

// Open reads a blob. The reader answers an error in place of io.EOF when the content is not that of the digest.
func (s *Store) Open(ctx context.Context, digest string) (io.ReadCloser, error) {
	path, err := s.Path(digest)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, missing(err, digest)
	}
	return &verified{Reader: &ctxReader{ctx, f}, file: f, hash: sha256.New(), want: digest}, nil
}

// Verify reads a whole blob and says whether it is still what its digest says.
func (s *Store) Verify(ctx context.Context, digest string) error {
	r, err := s.Open(ctx, digest)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}

type verified struct {
	io.Reader
	file *os.File
	hash hash.Hash
	want string
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.Reader.Read(p)
	v.hash.Write(p[:n])
	if err == io.EOF {
		if got := prefix + hex.EncodeToString(v.hash.Sum(nil)); got != v.want {
			return n, errs.E(errs.Internal, "artifact %s is damaged: its content is %s", v.want, got)
		}
	}
	return n, err
}

func (v *verified) Close() error { return v.file.Close() }

// ctxReader stops between reads once its context is done.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
