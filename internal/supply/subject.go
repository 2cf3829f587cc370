package supply

import (
	"encoding/hex"
	"io"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// Subject is the artifact that is vouched for: its digest, or what it holds. Some signatures, plain ones by Ed25519, cannot be
// checked by the digest alone.
type Subject struct {
	Digest  string
	Content io.Reader
}

// sizes are the algorithms of digests that in-toto's statements name, and how many bytes each gives.
var sizes = map[string]int{"sha256": 32, "sha384": 48, "sha512": 64}

// Sum is the digest's algorithm and bytes.
func (s Subject) Sum() (algorithm string, sum []byte, err error) {
	algorithm, text, _ := strings.Cut(s.Digest, ":")
	sum, err = hex.DecodeString(text)
	if err != nil || sizes[algorithm] == 0 || len(sum) != sizes[algorithm] || text != strings.ToLower(text) {
		return "", nil, errs.E(errs.Invalid, "digest %.80q: expected sha256: and 64 hexadecimal digits", s.Digest)
	}
	return algorithm, sum, nil
}

// IsDigest says whether a text is a digest.
func IsDigest(s string) bool {
	_, _, err := Subject{Digest: s}.Sum()
	return err == nil
}
