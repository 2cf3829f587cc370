package workload

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"

	"github.com/ringfence/ringfence/internal/errs"
)

// pinned is the verified copy of one slot's artifact.
//
// A path that was hashed can be replaced, and a file that was hashed can be written to, before it is executed;
// a hard link would still share its content with whoever holds the original open. So the bytes are copied, and
// hashed as they are copied, into a read-only file in a folder of mode 0700: from then on only this user could
// change it, who could change the runtime as well. Before each further start the file is compared by inode,
// size and change time (which no user can set back); when they differ it is hashed again.
type pinned struct {
	dir    string // own folder, made when needed
	name   string // what the program is called in a process list
	source Artifacts

	mu    sync.Mutex
	known fileMark
}

type fileMark struct {
	path       string
	inode      uint64
	size       int64
	ctim, mtim syscall.Timespec
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// path returns an executable file whose content has the digest.
func (p *pinned) path(ctx context.Context, digest string) (string, error) {
	if digest == "" {
		return "", nil
	}
	if !digestForm.MatchString(digest) {
		return "", errs.E(errs.Invalid, "digest %q; expected sha256: and 64 hexadecimal digits", digest)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	dst := filepath.Join(p.dir, digest[len("sha256:"):], p.name)
	if m, err := markOf(dst); err == nil {
		if m == p.known || hashFile(dst) == digest {
			p.known = m
			return dst, nil
		}
	}
	if p.source == nil {
		return "", errs.E(errs.Invalid, "no source of artifacts")
	}
	src, err := p.source.Fetch(ctx, digest)
	if err != nil {
		return "", err
	}
	if err := copyVerified(src, dst, digest); err != nil {
		return "", err
	}
	m, err := markOf(dst)
	if err != nil {
		return "", err
	}
	p.known = m
	return dst, nil
}

func copyVerified(src, dst, digest string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	dir := filepath.Dir(dst)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	out, err := os.CreateTemp(dir, ".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name()) // has no effect once it is renamed
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, h), in)
	if err == nil {
		err = out.Chmod(0o500)
	}
	if err == nil {
		err = out.Sync()
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(h.Sum(nil)); got != digest {
		return errs.E(errs.Invalid, "the artifact is not what was released: its digest is %s, expected %s", got, digest)
	}
	return os.Rename(out.Name(), dst)
}

func markOf(path string) (fileMark, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return fileMark{}, err
	}
	return markFrom(path, fi, 0o500)
}

func markFrom(path string, fi os.FileInfo, mode os.FileMode) (fileMark, error) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || !fi.Mode().IsRegular() || fi.Mode().Perm() != mode {
		return fileMark{}, errors.New("not the file that was made")
	}
	return fileMark{path: path, inode: st.Ino, size: st.Size, ctim: st.Ctim, mtim: st.Mtim}, nil
}

func hashFile(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}
