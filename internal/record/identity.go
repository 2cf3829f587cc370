package record

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
)

// Log is who the log is.
type Log struct {
	Origin   string     `json:"origin" doc:"the name under which checkpoints are signed"`
	Keys     []Key      `json:"keys" doc:"public keys, the newest last; each has signed at some time"`
	Accepted []Accepted `json:"accepted,omitempty" doc:"checkpoints that the record does not continue, with the reason why that is all right"`
}

// Key is a public key of the log.
type Key struct {
	Public string    `json:"public" doc:"NAME+HASH+KEY, as note's verifiers have them"`
	Since  time.Time `json:"since"`
}

// Accepted is a shipped checkpoint that somebody accepted as not continued.
type Accepted struct {
	Size   int64     `json:"size"`
	Root   string    `json:"root"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// Publics are the public keys, the newest last.
func (l Log) Publics() []string {
	var all []string
	for _, k := range l.Keys {
		all = append(all, k.Public)
	}
	return all
}

// Log says who the log is.
func (l *Ledger) Log(ctx context.Context) (Log, error) {
	log, rev, err := get[Log](ctx, l, nameLog)
	if err == nil && rev == 0 {
		err = errs.E(errs.Unavailable, "the log has no identity yet")
	}
	return log, err
}

// Open reads the key, and makes one with the log's identity where there is none. A log that has a key gets another by itself only where
// nobody else can hold it: a data folder that was lost or restored elsewhere.
func (l *Ledger) Open(ctx context.Context) error {
	log, rev, err := get[Log](ctx, l, nameLog)
	if err != nil {
		return err
	}
	private, err := readKey(l.KeyFile)
	if err != nil {
		return err
	}
	switch {
	case private == "" && rev > 0 && l.Shared:
		l.Logger.Warn("this control plane cannot sign checkpoints: it lacks the log's key", "file", l.KeyFile, "next", "copy the file from the control plane that has it")
		return nil
	case private == "":
		if log.Origin == "" {
			log.Origin = "ringfence/" + random(8)
		}
		if private, err = makeKey(l.KeyFile, log.Origin); err != nil {
			return err
		}
	}
	public, err := audit.PublicKey(private)
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "key file %s", l.KeyFile)
	}
	origin, err := audit.OriginOf(public)
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "key file %s", l.KeyFile)
	}
	if log.Origin != "" && origin != log.Origin {
		return errs.E(errs.Conflict, "key file %s is of the log %s, the record is the log %s", l.KeyFile, origin, log.Origin).Next("Give the key file of this log, or move that one away.")
	}
	l.private, l.public = private, public
	if slices.Contains(log.Publics(), public) {
		return nil
	}
	log.Origin = origin
	return l.addKey(ctx, log, rev, public, actor, "the key is new to the log")
}

func (l *Ledger) addKey(ctx context.Context, log Log, rev int64, public, who, reason string) error {
	log.Keys = append(log.Keys, Key{Public: public, Since: l.Now().UTC()})
	return l.commit(ctx, nameLog, rev, log, "record.key-added", who, map[string]string{"origin": log.Origin, "key": public, "reason": reason})
}

// Rotate makes a new key, with which checkpoints are signed from now on. The former goes on verifying what it signed.
func (l *Ledger) Rotate(ctx context.Context, who, reason string) (Log, error) {
	if l.private == "" {
		return Log{}, errs.E(errs.Unavailable, "this control plane lacks the log's key and cannot replace it").Next("Ask the control plane that has it.")
	}
	log, rev, err := get[Log](ctx, l, nameLog)
	if err != nil {
		return Log{}, err
	}
	if _, err := l.Sign(ctx); err != nil { // the last word of the former key
		return Log{}, err
	}
	next := l.KeyFile + ".next"
	private, err := makeKey(next, log.Origin)
	if err != nil {
		return Log{}, err
	}
	public, err := audit.PublicKey(private)
	if err != nil {
		return Log{}, err
	}
	if err := l.addKey(ctx, log, rev, public, who, reason); err != nil {
		return Log{}, errors.Join(err, os.Remove(next))
	}
	if err := os.Rename(next, l.KeyFile); err != nil {
		return Log{}, errs.Wrap(errs.Unavailable, err, "key file")
	}
	l.mu.Lock()
	l.private, l.public = private, public
	l.mu.Unlock()
	return l.Log(ctx)
}

func readKey(path string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", errs.Wrap(errs.Unavailable, err, "key file")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", errs.E(errs.Denied, "key file %s can be read by others", path).Next("chmod 600 %s, and replace the key: ringfence audit rotate --reason …", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", errs.Wrap(errs.Unavailable, err, "key file")
	}
	return strings.TrimSpace(string(b)), nil
}

// makeKey writes a new private key to a file that must not be there.
func makeKey(path, origin string) (string, error) {
	seed := make([]byte, 32)
	_, _ = rand.Read(seed) // never fails
	private, _, err := audit.KeyFor(origin, seed)
	if err != nil {
		return "", err
	}
	fail := func(err error) (string, error) { return "", errs.Wrap(errs.Unavailable, err, "key file") }
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fail(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fail(err)
	}
	_, err = f.WriteString(private + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fail(errors.Join(err, os.Remove(path)))
	}
	return private, nil
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
