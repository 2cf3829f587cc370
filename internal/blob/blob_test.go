package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

func digestOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func newStore(t *testing.T) *Store {
	t.Helper()
	s, err := New(filepath.Join(t.TempDir(), "artifacts"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// files lists what is in the store, temporary files included.
func files(t *testing.T, s *Store) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A disk that takes nothing is somebody's to repair, and the upload to be tried again; a reader's error stays what it is.
func TestWhoFailed(t *testing.T) {
	s := newStore(t)
	denied := errs.E(errs.Denied, "no more of it")
	if _, _, err := s.Put(t.Context(), io.MultiReader(strings.NewReader("hel"), iotest.ErrReader(denied)), 5); !errs.Is(err, errs.Denied) {
		t.Errorf("the reader: %v", err)
	}
	if err := os.Remove(s.temp()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Put(t.Context(), strings.NewReader("hello"), 5); !errs.Is(err, errs.Unavailable) || strings.Contains(err.Error(), s.dir) {
		t.Errorf("the disk: %v", err)
	}
}

func TestPutAndOpen(t *testing.T) {
	s := newStore(t)
	want := digestOf("hello")
	for range 2 { // the second changes nothing
		digest, size, err := s.Put(t.Context(), strings.NewReader("hello"), 5)
		if err != nil || digest != want || size != 5 {
			t.Fatalf("%s, %d, %v", digest, size, err)
		}
	}
	path, err := s.Path(want)
	if err != nil {
		t.Fatal(err)
	}
	if all := files(t, s); len(all) != 1 || all[0] != path {
		t.Errorf("files %v, expected %s alone", all, path)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o500 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if size, err := s.Size(t.Context(), want); size != 5 || err != nil {
		t.Errorf("size %d, %v", size, err)
	}
	r, err := s.Open(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := io.ReadAll(r); string(all) != "hello" || err != nil {
		t.Errorf("%q, %v", all, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// broken gives some bytes and then fails.
type broken struct{ first io.Reader }

func (b broken) Read(p []byte) (int, error) {
	if n, err := b.first.Read(p); err == nil {
		return n, nil
	}
	return 0, errors.New("connection lost")
}

func TestWhatIsRefusedLeavesNothing(t *testing.T) {
	s := newStore(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx  context.Context
		r    io.Reader
		want string
	}{
		"too large": {t.Context(), strings.NewReader("123456"), "more than 5 bytes"},
		"empty":     {t.Context(), strings.NewReader(""), "empty"},
		"broken":    {t.Context(), broken{strings.NewReader("123")}, "connection lost"},
		"cancelled": {ended, strings.NewReader("123"), "canceled"},
	} {
		if _, _, err := s.Put(tt.ctx, tt.r, 5); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if all := files(t, s); len(all) != 0 {
		t.Errorf("left: %v", all)
	}
}

func TestDigestsCannotLeaveTheFolder(t *testing.T) {
	s := newStore(t)
	for _, digest := range []string{"", "sha256:", "../../etc/passwd", "sha256:../" + strings.Repeat("a", 61), "sha256:" + strings.Repeat("A", 64), "md5:" + strings.Repeat("a", 64)} {
		_, pathErr := s.Path(digest)
		_, openErr := s.Open(t.Context(), digest)
		_, sizeErr := s.Size(t.Context(), digest)
		for _, err := range []error{pathErr, openErr, sizeErr} {
			if !errs.Is(err, errs.Invalid) {
				t.Errorf("%q: %v", digest, err)
			}
		}
	}
	if _, err := s.Open(t.Context(), digestOf("gone")); !errs.Is(err, errs.Missing) {
		t.Errorf("unknown: %v", err)
	}
	if _, err := s.Size(t.Context(), digestOf("gone")); !errs.Is(err, errs.Missing) {
		t.Errorf("unknown: %v", err)
	}
}

// damage replaces the content behind the store's back.
func damage(t *testing.T, s *Store, digest, with string) {
	t.Helper()
	path, err := s.Path(digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(with), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestDamageIsFound(t *testing.T) {
	s := newStore(t)
	digest, _, err := s.Put(t.Context(), strings.NewReader("hello"), 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(t.Context(), digest); err != nil {
		t.Fatal(err)
	}
	for _, with := range []string{"hellO", "hell", ""} {
		damage(t, s, digest, with)
		r, err := s.Open(t.Context(), digest)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%q: %v", with, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	// Putting the right content again mends it.
	if _, _, err := s.Put(t.Context(), strings.NewReader("hello"), 5); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(t.Context(), digest); err != nil {
		t.Error(err)
	}
}

func TestNewRemovesWhatCrashedWritersLeft(t *testing.T) {
	s := newStore(t)
	old, young := filepath.Join(s.temp(), "put-old"), filepath.Join(s.temp(), "put-young")
	for _, path := range []string{old, young} {
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * abandoned)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	if _, err := New(s.dir); err != nil {
		t.Fatal(err)
	}
	if all := files(t, s); len(all) != 1 || all[0] != young {
		t.Errorf("left %v, expected the one that may still be written", all)
	}
}

// source serves text and counts how often it is asked; started is closed at the first time, and it waits for release.
type source struct {
	text             string
	asked            atomic.Int32
	once             sync.Once
	started, release chan struct{}
}

func (s *source) open(ctx context.Context, _ string) (io.ReadCloser, error) {
	s.asked.Add(1)
	if s.started != nil {
		s.once.Do(func() { close(s.started) })
		select {
		case <-s.release:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return io.NopCloser(bytes.NewReader([]byte(s.text))), nil
}

func TestFetch(t *testing.T) {
	s, src := newStore(t), &source{text: "hello"}
	c := NewCache(s, src.open, 0)
	digest := digestOf("hello")
	for range 3 {
		path, err := c.Fetch(t.Context(), digest)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); string(got) != "hello" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if n := src.asked.Load(); n != 1 {
		t.Errorf("downloaded %d times", n)
	}
	damage(t, s, digest, "hellO")
	if _, err := c.Fetch(t.Context(), digest); err != nil || src.asked.Load() != 2 {
		t.Errorf("a damaged file is not fetched anew: %v", err)
	}
	if err := s.Verify(t.Context(), digest); err != nil {
		t.Error(err)
	}
}

func TestFetchRefusesOtherContent(t *testing.T) {
	s := newStore(t)
	for _, text := range []string{"evil", "", "far too long"} {
		c := NewCache(s, (&source{text: text}).open, 10)
		if _, err := c.Fetch(t.Context(), digestOf("hello")); err == nil {
			t.Errorf("%q was taken for hello", text)
		}
	}
	failing := NewCache(s, func(context.Context, string) (io.ReadCloser, error) { return nil, errs.E(errs.Unavailable, "no route") }, 10)
	if _, err := failing.Fetch(t.Context(), digestOf("hello")); !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "no route") {
		t.Errorf("%v", err)
	}
	if all := files(t, s); len(all) != 0 {
		t.Errorf("left: %v", all)
	}
}

func TestFetchesShareADownload(t *testing.T) {
	src := &source{text: "hello", started: make(chan struct{}), release: make(chan struct{})}
	c := NewCache(newStore(t), src.open, 10)
	digest := digestOf("hello")
	impatient, leave := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := c.Fetch(impatient, digest)
		first <- err
	}()
	<-src.started
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := c.Fetch(t.Context(), digest); err != nil {
				t.Error(err)
			}
		})
	}
	waitFor(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.flying[digest].waiting == 9 })
	leave() // the one who started it goes; the others still get it
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("left with %v", err)
	}
	close(src.release)
	wg.Wait()
	if n := src.asked.Load(); n != 1 {
		t.Errorf("downloaded %d times", n)
	}
}

func TestADownloadThatNobodyWaitsForEnds(t *testing.T) {
	src := &source{text: "hello", started: make(chan struct{}), release: make(chan struct{})}
	ended := make(chan error, 1)
	c := NewCache(newStore(t), func(ctx context.Context, digest string) (io.ReadCloser, error) {
		r, err := src.open(ctx, digest)
		ended <- err
		return r, err
	}, 10)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-src.started; cancel() }()
	if _, err := c.Fetch(ctx, digestOf("hello")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the download ended with %v", err)
	}
	close(src.release)
	if _, err := c.Fetch(t.Context(), digestOf("hello")); err != nil {
		t.Errorf("fetching it later: %v", err)
	}
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("did not happen within a minute")
		}
	}
}
