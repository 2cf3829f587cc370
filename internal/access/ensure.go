package access

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
)

// The files of the first tokens, in the data folder.
const (
	AdminFile     = "admin.token"
	DataPlaneFile = "dataplane.token"
)

// EnsureTokens makes the first admin token and the data plane's, each in a file of dir that only its owner reads,
// and makes the store know them. Files that are there are kept: a token survives a restart, and a restored
// database takes the tokens of the folder that it is started in.
func EnsureTokens(ctx context.Context, s Store, dir string, now time.Time) error {
	tokens := Tokens{Store: s}
	for _, first := range []struct {
		file, name string
		role       policy.Role
	}{{AdminFile, "admin", policy.Admin}, {DataPlaneFile, "dataplane", policy.DataPlane}} {
		token, err := ensureFile(filepath.Join(dir, first.file))
		if err != nil {
			return err
		}
		if err := tokens.Register(ctx, "system:start", token, first.name, first.role, now); err != nil {
			return errs.Wrap(errs.KindOf(err), err, "%s", filepath.Join(dir, first.file))
		}
	}
	return nil
}

func ensureFile(path string) (string, error) {
	token, err := ReadToken(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	if err := writeToken(path, NewToken()); err != nil {
		return "", err
	}
	return ReadToken(path)
}

// ReadToken reads a token's file and takes it from everybody else's eyes.
func ReadToken(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe is refused below, not waited for
	if err != nil {
		return "", errs.Wrap(kindOf(err), err, "token file")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", errs.Wrap(kindOf(err), err, "token file")
	}
	if !info.Mode().IsRegular() {
		return "", errs.E(errs.Invalid, "token file %s: expected a regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := f.Chmod(0o600); err != nil {
			return "", errs.Wrap(errs.Denied, err, "token file %s can be read by others", path)
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return "", errs.Wrap(errs.Unavailable, err, "token file")
	}
	token := strings.TrimSpace(string(b))
	if !tokenRE.MatchString(token) {
		return "", errs.E(errs.Invalid, "token file %s holds no token", path).Next("Remove the file to have a new one made at the next start.")
	}
	return token, nil
}

func kindOf(err error) errs.Kind {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errs.Missing
	case errors.Is(err, fs.ErrPermission):
		return errs.Denied
	}
	return errs.Unavailable
}

// KeepToken writes a token into a file that only its owner reads, in place of one that is there.
func KeepToken(path, token string) error {
	if !tokenRE.MatchString(token) {
		return errs.E(errs.Invalid, "not a token: expected rf_ and 43 letters, digits, - or _")
	}
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errs.Wrap(errs.Unavailable, err, "cannot write the token file")
	}
	return writeToken(path, token)
}

// writeToken makes the file whole or not at all, and never over one that is there.
func writeToken(path, token string) error {
	fail := func(err error) error { return errs.Wrap(errs.Unavailable, err, "cannot write the token file") }
	f, err := os.CreateTemp(filepath.Dir(path), ".token-") // made with mode 0600
	if err != nil {
		return fail(err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(token + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fail(err)
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fail(err)
	}
	return nil
}
