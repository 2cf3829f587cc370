package sealing

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

const (
	format  = 1
	keySize = 32
)

// Key is the key that keys are encrypted under.
type Key struct{ aead cipher.AEAD }

// Open reads the key in a file, and makes one where there is none.
func Open(path string) (*Key, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(path)
	}
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "key of secrets")
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "key of secrets")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, errs.E(errs.Invalid, "key of secrets: others than its owner may read %s", path).Next("chmod 600 %s", path)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil || len(key) != keySize {
		return nil, errs.E(errs.Invalid, "key of secrets: %s holds none, expected 32 bytes in base64", path)
	}
	return newKey(key)
}

// create makes a key. Of two processes that do so at once one wins, and both use its key.
func create(path string) (*Key, error) {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	f, err := os.CreateTemp(filepath.Dir(path), ".secret-key-")
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "key of secrets")
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "key of secrets")
	}
	if err := os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return Open(path)
	} else if err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "key of secrets")
	}
	return newKey(key)
}

func newKey(key []byte) (*Key, error) {
	aead, err := gcm(key)
	return &Key{aead}, err
}

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Seal encrypts a value, bound to what it is of.
func (k *Key) Seal(value []byte, of string) ([]byte, error) {
	own := make([]byte, keySize)
	_, _ = rand.Read(own)
	aead, err := gcm(own)
	if err != nil {
		return nil, err
	}
	wrapped := k.aead.Seal(nil, nil, own, []byte(of))
	out := append([]byte{format, byte(len(wrapped))}, wrapped...)
	return aead.Seal(out, nil, value, []byte(of)), nil
}

// Open decrypts a value that was bound to this.
func (k *Key) Open(sealed []byte, of string) ([]byte, error) {
	wrong := errs.E(errs.Unavailable, "the value of %s does not open: it was sealed under another key, or changed", of).
		Next("Put the key back that secrets were sealed under; it is the file secret.key of the data folder.")
	if len(sealed) < 2 || sealed[0] != format || len(sealed) < 2+int(sealed[1]) {
		return nil, wrong
	}
	wrapped, body := sealed[2:2+int(sealed[1])], sealed[2+int(sealed[1]):]
	own, err := k.aead.Open(nil, nil, wrapped, []byte(of))
	if err != nil {
		return nil, wrong
	}
	aead, err := gcm(own)
	if err != nil {
		return nil, err
	}
	value, err := aead.Open(nil, nil, body, []byte(of))
	if err != nil {
		return nil, wrong
	}
	return value, nil
}
