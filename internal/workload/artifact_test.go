package workload

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/errs"
)

// counting is a source that says how often it was asked.
type counting struct {
	path string
	n    int
}

func (c *counting) Fetch(context.Context, string) (string, error) {
	c.n++
	return c.path, nil
}

func TestPinned(t *testing.T) {
	src := filepath.Join(t.TempDir(), "shop")
	write := func(path, content string) {
		t.Helper()
		_ = os.Chmod(path, 0o700)
		if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(src, "#!/bin/sh\n")
	digest := hashFile(src)
	from := &counting{path: src}
	p := &pinned{dir: filepath.Join(t.TempDir(), "bin"), name: "shop", source: from}
	want := func(path string, err error, fetched int) string {
		t.Helper()
		if err != nil || hashFile(path) != digest || from.n != fetched {
			t.Fatalf("%q, %v, fetched %d times, want %d", path, err, from.n, fetched)
		}
		return path
	}
	path, err := p.path(t.Context(), digest)
	path = want(path, err, 1)
	if fi, err := os.Stat(filepath.Dir(path)); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("its folder is %v, %v", fi.Mode(), err)
	}
	write(src, "#!/bin/sh\nrm -rf /\n") // later changes of the source have no effect
	path, err = p.path(t.Context(), digest)
	want(path, err, 1)
	again := &pinned{dir: p.dir, name: "shop", source: from} // as after a restart
	path, err = again.path(t.Context(), digest)
	want(path, err, 1)

	write(path, "changed") // the copy was tampered with: it is not used, and the source is no longer right
	if err := os.Chmod(path, 0o500); err != nil {
		t.Fatal(err)
	}
	_, err = p.path(t.Context(), digest)
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "not what was released") || !strings.Contains(err.Error(), digest) {
		t.Errorf("got %v", err)
	}
	write(src, "#!/bin/sh\n")
	path, err = p.path(t.Context(), digest)
	want(path, err, 3)

	for _, bad := range []string{"sha256:", "md5:" + digest[7:], digest + "/../x"} {
		if _, err := p.path(t.Context(), bad); !errs.Is(err, errs.Invalid) {
			t.Errorf("digest %q: %v", bad, err)
		}
	}
	left, _ := filepath.Glob(filepath.Join(p.dir, "*", ".tmp-*"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWrongDigestIsNotStarted(t *testing.T) {
	g := newRig(t)
	wrong := "sha256:" + strings.Repeat("0", 64)
	g.open(func(o *Options) { o.Artifacts = files{wrong: g.binary} })
	s := g.slot("v1", 1)
	s.Digest = wrong
	g.rt.Apply(shop(s))
	g.await("refused at once", func() bool {
		f := g.status("v1").Failure
		return strings.Contains(f, "not what was released") && strings.Contains(f, g.digest) && strings.Contains(f, wrong)
	})
	if i := g.status("v1").Instances[0]; i.PID != 0 {
		t.Errorf("it runs: %+v", i)
	}
}
