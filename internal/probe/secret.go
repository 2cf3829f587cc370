package probe

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

const maxSecret = 64 << 10

// secret reads a file of the folder. Errors name the file, never what is in it.
func (r *Runner) secret(name string) (string, error) {
	if r.Secrets == "" {
		return "", errors.New("this prober has no folder of secrets")
	}
	root, err := os.OpenRoot(r.Secrets)
	if err != nil {
		return "", fmt.Errorf("the folder of secrets cannot be opened: %w", reason(err))
	}
	defer func() { _ = root.Close() }()
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe is not waited for
	if err != nil {
		return "", fmt.Errorf("secret %s cannot be read: %w", name, reason(err))
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", fmt.Errorf("secret %s cannot be read: %w", name, reason(err))
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("secret %s is no regular file", name)
	case info.Mode().Perm()&0o027 != 0:
		return "", fmt.Errorf("secret %s may be read by others, or written by its group (mode %04o); expected 0600 or 0640", name, info.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("secret %s cannot be read: %w", name, reason(err))
	case len(b) > maxSecret:
		return "", fmt.Errorf("secret %s has more than %d bytes", name, maxSecret)
	}
	text := strings.TrimRight(string(b), "\r\n \t")
	if text == "" {
		return "", fmt.Errorf("secret %s is empty", name)
	}
	return text, nil
}

// reason leaves out the path, which is known or nobody's business.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
