package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// MaxCheckpoint bounds a signed checkpoint that comes from outside.
const MaxCheckpoint = 64 << 10

// Checkpoint says what the record was: of which log, how many events, and the hash of the tree over them. Its form is C2SP's
// tlog-checkpoint, without further lines.
type Checkpoint struct {
	Origin string
	Head
}

// Text is what is signed.
func (c Checkpoint) Text() string {
	return c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
}

// ParseCheckpoint reads the text of a checkpoint. What Text would not write is refused.
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	wrong := fmt.Errorf("not a checkpoint: expected the lines origin, number of events, and hash")
	if len(lines) != 4 || lines[0] == "" {
		return Checkpoint{}, wrong
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	root, err2 := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || err2 != nil || size < 0 || len(root) != HashSize {
		return Checkpoint{}, wrong
	}
	c := Checkpoint{Origin: lines[0], Head: Head{Size: size, Root: Hash(root)}}
	if c.Text() != text {
		return Checkpoint{}, wrong
	}
	return c, nil
}

// SignCheckpoint signs c by a key of note's form. The key's name is the origin.
func SignCheckpoint(c Checkpoint, key string) ([]byte, error) {
	signer, err := note.NewSigner(key)
	if err != nil {
		return nil, fmt.Errorf("the key cannot sign: %w", err)
	}
	if signer.Name() != c.Origin {
		return nil, fmt.Errorf("the key is of %q, the log is %q", signer.Name(), c.Origin)
	}
	return note.Sign(&note.Note{Text: c.Text()}, signer)
}

// KeyFor makes a private key and the public one that verifies it, from 32 random bytes.
func KeyFor(origin string, seed []byte) (private, public string, err error) {
	if len(seed) != ed25519.SeedSize {
		return "", "", fmt.Errorf("%d bytes: expected %d", len(seed), ed25519.SeedSize)
	}
	return note.GenerateKey(bytes.NewReader(seed), origin)
}

// PublicKey returns the key that verifies what a private one signs.
func PublicKey(private string) (string, error) {
	signer, err := note.NewSigner(private)
	if err != nil {
		return "", fmt.Errorf("not a private key of note's form: %w", err)
	}
	_, data, _ := strings.Cut(strings.TrimPrefix(private, "PRIVATE+KEY+"+signer.Name()+"+"), "+") // data may hold a + of its own
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return "", fmt.Errorf("not a private key of note's form")
	}
	return note.NewEd25519VerifierKey(signer.Name(), ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey))
}

// Opened is a checkpoint whose signature holds.
type Opened struct {
	Checkpoint
	Key    string   // the public key that verified it
	Others []string // further signature lines, of whom we know nothing
}

// OpenCheckpoint verifies a signed checkpoint by any of the log's public keys. Every byte of it counts, but those of others' signatures.
func OpenCheckpoint(signed []byte, keys []string) (Opened, error) {
	if len(signed) > MaxCheckpoint {
		return Opened{}, fmt.Errorf("the checkpoint has %d bytes: expected at most %d", len(signed), MaxCheckpoint)
	}
	var verifiers []note.Verifier
	byHash := map[string]string{}
	for _, k := range keys {
		v, err := note.NewVerifier(k)
		if err != nil {
			return Opened{}, fmt.Errorf("key %q: %w", k, err)
		}
		if !strings.HasPrefix(k, fmt.Sprintf("%s+%08x+", v.Name(), v.KeyHash())) {
			return Opened{}, fmt.Errorf("key %q is not written as it should be", k)
		}
		if id := keyID(v.Name(), v.KeyHash()); byHash[id] == "" {
			byHash[id] = k
			verifiers = append(verifiers, v)
		}
	}
	n, err := note.Open(signed, note.VerifierList(verifiers...))
	if err != nil {
		return Opened{}, fmt.Errorf("the checkpoint is not signed by the log: %w", err)
	}
	o := Opened{Key: byHash[keyID(n.Sigs[0].Name, n.Sigs[0].Hash)]}
	if o.Checkpoint, err = ParseCheckpoint(n.Text); err != nil {
		return Opened{}, err
	}
	if o.Origin != n.Sigs[0].Name {
		return Opened{}, fmt.Errorf("the checkpoint is of the log %q, its signature of %q", o.Origin, n.Sigs[0].Name)
	}
	for _, s := range n.UnverifiedSigs {
		o.Others = append(o.Others, "— "+s.Name+" "+s.Base64+"\n")
	}
	for _, s := range n.Sigs {
		if raw, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil || len(raw) != 4+ed25519.SignatureSize {
			return Opened{}, fmt.Errorf("the checkpoint's signature is not written as it should be")
		}
	}
	return o, nil
}

func keyID(name string, hash uint32) string { return name + "+" + strconv.FormatUint(uint64(hash), 16) }

// OriginOf is the log that a public key is of.
func OriginOf(public string) (string, error) {
	v, err := note.NewVerifier(public)
	if err != nil {
		return "", fmt.Errorf("key %q: %w", public, err)
	}
	return v.Name(), nil
}

// Witness is a public key of one who cosigns checkpoints, as in C2SP's tlog-cosignature.
type Witness struct {
	Name string
	id   uint32
	key  ed25519.PublicKey
}

const cosignature = 4 // the type of its keys

// ParseWitness reads a public key NAME+HASH+KEY.
func ParseWitness(text string) (Witness, error) {
	wrong := fmt.Errorf("%q is no key of a witness: expected NAME+HASH+KEY of the type for cosignatures", text)
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 || parts[0] == "" {
		return Witness{}, wrong
	}
	id, err := strconv.ParseUint(parts[1], 16, 32)
	raw, err2 := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || err2 != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != cosignature {
		return Witness{}, wrong
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), raw...))
	if binary.BigEndian.Uint32(sum[:4]) != uint32(id) {
		return Witness{}, wrong
	}
	return Witness{Name: parts[0], id: uint32(id), key: raw[1:]}, nil
}

// Cosigned finds the witness' signature of c among signature lines, and says when it was made, in Unix seconds.
func (w Witness) Cosigned(c Checkpoint, lines []string) (line string, at int64, err error) {
	for _, l := range lines {
		rest, ok := strings.CutPrefix(strings.TrimSuffix(l, "\n"), "— "+w.Name+" ")
		if !ok {
			continue
		}
		raw, err := base64.StdEncoding.Strict().DecodeString(rest)
		if err != nil || len(raw) != 4+8+ed25519.SignatureSize || binary.BigEndian.Uint32(raw) != w.id {
			continue
		}
		at := int64(binary.BigEndian.Uint64(raw[4:]))
		if at > 0 && ed25519.Verify(w.key, []byte(cosigned(c, at)), raw[12:]) {
			return "— " + w.Name + " " + rest + "\n", at, nil
		}
	}
	return "", 0, fmt.Errorf("the witness %s has not signed the checkpoint of %d events", w.Name, c.Size)
}

func cosigned(c Checkpoint, at int64) string {
	return "cosignature/v1\ntime " + strconv.FormatInt(at, 10) + "\n" + c.Text()
}
