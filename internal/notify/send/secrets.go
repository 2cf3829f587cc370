package send

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"unicode"
)

const (
	maxSecret = 8 << 10
	minKey    = 16 // bytes of a key that signs
)

// secret reads a file of the folder. Errors name the file, never what is in it.
func (s *Sender) secret(name string) ([]byte, error) {
	if s.Secrets == "" {
		return nil, errors.New("the control plane has no folder of secrets")
	}
	root, err := os.OpenRoot(s.Secrets)
	if err != nil {
		return nil, fmt.Errorf("the folder of secrets cannot be opened: %w", reason(err))
	}
	defer func() { _ = root.Close() }()
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe is not waited for
	if err != nil {
		return nil, fmt.Errorf("secret %s cannot be read: %w", name, reason(err))
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("secret %s cannot be read: %w", name, reason(err))
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("secret %s is no regular file", name)
	case info.Mode().Perm()&0o027 != 0:
		return nil, fmt.Errorf("secret %s may be read by others, or written by its group (mode %04o); expected 0600 or 0640", name, info.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	b = bytes.TrimRight(b, "\r\n \t")
	switch {
	case err != nil:
		return nil, fmt.Errorf("secret %s cannot be read: %w", name, reason(err))
	case len(b) == 0:
		return nil, fmt.Errorf("secret %s is empty", name)
	case len(b) > maxSecret:
		return nil, fmt.Errorf("secret %s has more than %d bytes", name, maxSecret)
	}
	return b, nil
}

// reason leaves out the path, which is known or nobody's business.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// line is a secret of one line.
func (s *Sender) line(name string, hidden *hidden) (string, error) {
	b, err := s.secret(name)
	if err != nil {
		return "", err
	}
	hidden.add(string(b))
	if bytes.ContainsFunc(b, unicode.IsControl) {
		return "", fmt.Errorf("secret %s has several lines or control characters, expected one line", name)
	}
	return string(b), nil
}

// address is a secret URL: https, or http on this machine.
func (s *Sender) address(name string, hidden *hidden) (string, error) {
	text, err := s.line(name, hidden)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return "", fmt.Errorf("secret %s is no https URL", name)
	}
	for _, part := range []string{u.RequestURI(), u.EscapedPath(), u.Path, u.RawQuery} {
		hidden.add(part)
	}
	return text, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// keys are those that sign: a line each, at most two, while they are being changed.
func (s *Sender) keys(name string, hidden *hidden) ([][]byte, error) {
	b, err := s.secret(name)
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	for line := range bytes.Lines(b) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			hidden.add(string(line))
			keys = append(keys, line)
		}
	}
	for _, key := range keys {
		if len(key) < minKey {
			return nil, fmt.Errorf("secret %s has a key of %d bytes, expected at least %d", name, len(key), minKey)
		}
	}
	if len(keys) > 2 {
		return nil, fmt.Errorf("secret %s has %d keys, expected one, or two while they are changed", name, len(keys))
	}
	return keys, nil
}

// hidden are texts that must not be told.
type hidden []string

const shortest = 6 // shorter ones would be found in every other word

func (h *hidden) add(s string) {
	if len(s) >= shortest {
		*h = append(*h, s, url.QueryEscape(s), base64.StdEncoding.EncodeToString([]byte(s)))
	}
}

func (h hidden) hide(text string) string {
	for _, s := range h {
		text = strings.ReplaceAll(text, s, "[secret]")
	}
	return text
}

// oneLine makes a text from outside fit for a log.
func oneLine(s string, most int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
