package ship

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/ringfence/ringfence/internal/audit"
)

func checkpoint(t *testing.T, size int64) (audit.Checkpoint, []byte) {
	t.Helper()
	private, _, err := audit.KeyFor("ringfence/test", bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	c := audit.Checkpoint{Origin: "ringfence/test", Head: audit.Head{Size: size, Root: audit.Hash{byte(size)}}}
	b, err := audit.SignCheckpoint(c, private)
	if err != nil {
		t.Fatal(err)
	}
	return c, b
}

func TestFolder(t *testing.T) {
	f := Folder{Dir: t.TempDir() + "/a/b", Keep: 3}
	if all, err := f.Shipped(t.Context()); err != nil || len(all) != 0 {
		t.Fatal(all, err)
	}
	var last []byte
	for _, n := range []int64{1, 9, 10, 100, 11} {
		c, b := checkpoint(t, n)
		if err := f.Ship(t.Context(), c, b); err != nil {
			t.Fatal(err)
		}
		if n == 100 {
			last = b
		}
	}
	all, err := f.Shipped(t.Context())
	if err != nil || len(all) != 3 || !bytes.Equal(all[0], last) {
		t.Fatalf("%d, %v", len(all), err)
	}
}

func TestWebhook(t *testing.T) {
	var got []byte
	status := http.StatusNoContent
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
		w.WriteHeader(status)
	}))
	defer s.Close()
	c, b := checkpoint(t, 4)
	if err := (Webhook{URL: s.URL}).Ship(t.Context(), c, b); err != nil || !bytes.Equal(got, b) {
		t.Fatal(err)
	}
	status = http.StatusFound
	if err := (Webhook{URL: s.URL}).Ship(t.Context(), c, b); err == nil {
		t.Error("a redirect is taken for an answer")
	}
}

// witness is one of C2SP's tlog-witness, that believes every proof of the right length.
type witness struct {
	key  ed25519.PrivateKey
	mu   sync.Mutex
	seen string
	asks int
}

const witnessName = "witness.example"

func (w *witness) public() (id []byte, text string) {
	raw := append([]byte{4}, w.key.Public().(ed25519.PublicKey)...)
	sum := sha256.Sum256(append([]byte(witnessName+"\n"), raw...))
	return sum[:4], fmt.Sprintf("%s+%x+%s", witnessName, sum[:4], base64.StdEncoding.EncodeToString(raw))
}

func (w *witness) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asks++
	body, _ := io.ReadAll(r.Body)
	head, note, _ := strings.Cut(string(body), "\n\n")
	lines := strings.Split(head, "\n")
	if r.URL.Path != "/add-checkpoint" || lines[0] != "old "+w.seen {
		out.Header().Set("Content-Type", "text/x.tlog.size")
		out.WriteHeader(http.StatusConflict)
		fmt.Fprintln(out, w.seen)
		return
	}
	text, _, _ := strings.Cut(note, "\n\n")
	text += "\n"
	w.seen = strings.Split(text, "\n")[1]
	id, _ := w.public()
	sig := binary.BigEndian.AppendUint64(bytes.Clone(id), 1700000000)
	sig = append(sig, ed25519.Sign(w.key, []byte("cosignature/v1\ntime 1700000000\n"+text))...)
	fmt.Fprintf(out, "— %s %s\n", witnessName, base64.StdEncoding.EncodeToString(sig))
}

func TestWitness(t *testing.T) {
	w := &witness{key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32)), seen: "0"}
	s := httptest.NewServer(w)
	defer s.Close()
	_, text := w.public()
	key, err := audit.ParseWitness(text)
	if err != nil {
		t.Fatal(err)
	}
	at := Witness{URL: s.URL, Key: key}
	c, b := checkpoint(t, 4)
	line, _, err := at.Add(t.Context(), 0, nil, c, b)
	if err != nil || !strings.HasPrefix(line, "— "+witnessName+" ") {
		t.Fatal(line, err)
	}
	if _, seen, err := at.Add(t.Context(), 0, nil, c, b); err == nil || seen != 4 {
		t.Fatal(seen, err)
	}
	w.key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32))
	if _, _, err := at.Add(t.Context(), 4, nil, c, b); err == nil {
		t.Error("another's signature is taken")
	}
}
