package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Versions of the shop, with what the linker makes of each.
var versions = map[string]string{
	"v1": "",
	"v2": "",
	"v3": " -X main.checkoutErrors=0.9", // a bad release
	"v4": " -X main.ready=never",        // a broken one
	"v5": " -X main.expressErrors=0.9",  // one with a bad feature, behind a flag
}

// Main builds the programs into the folder that it hands to use, and runs the tests of a package:
// func TestMain(m *testing.M) { sandbox.Main(m, &programs) }
func Main(m *testing.M, programs *string) {
	os.Exit(run(m, programs))
}

func run(m *testing.M, programs *string) int {
	dir, err := build()
	if err == nil {
		defer os.RemoveAll(dir)
	} else {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	*programs = dir
	return m.Run()
}

// Root is the repository, seen from a package two folders deep, as all of test/ are.
var Root = filepath.Join("..", "..")

// build puts the programs into a folder of the caller's own. They are linked once for all packages, where go build finds them up to date the next
// time; one package does so at a time, and its folder has links to them, so that nobody's programs change while they run.
func build() (dir string, err error) {
	all, err := filepath.Abs(filepath.Join(Root, "bin", "test"))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(all, 0o755); err != nil { //nolint:gosec // as any build
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(all, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	var group errgroup.Group
	group.Go(func() error { return compile(all, "ringfence", "-s -w", "./cmd/ringfence") })
	group.Go(func() error {
		for v, flags := range versions {
			if err := compile(all, "shop-"+v, "-s -w -X main.version="+v+flags, "./examples/shop"); err != nil {
				return err
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp(all, "programs-"); err != nil {
		return "", err
	}
	names := []string{"ringfence"}
	for v := range versions {
		names = append(names, "shop-"+v)
	}
	for _, name := range names {
		if err := os.Link(filepath.Join(all, name), filepath.Join(dir, name)); err != nil {
			return "", errors.Join(err, os.RemoveAll(dir))
		}
	}
	return dir, nil
}

func compile(dir, name, flags, pkg string) error {
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, name), "-ldflags", flags, pkg)
	cmd.Dir = Root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build does, so that what it compiled is used again
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return nil
}
