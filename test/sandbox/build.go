package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"
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
	dir, err := os.MkdirTemp("", "ringfence-programs-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	*programs = dir
	return m.Run()
}

// Root is the repository, seen from a package two folders deep, as all of test/ are.
var Root = filepath.Join("..", "..")

func build(dir string) error {
	var group errgroup.Group
	group.Go(func() error { return compile(dir, "ringfence", "-s -w", "./cmd/ringfence") })
	group.Go(func() error {
		for v, flags := range versions {
			if err := compile(dir, "shop-"+v, "-s -w -X main.version="+v+flags, "./examples/shop"); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
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
