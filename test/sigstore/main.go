// Command sigstore runs the verification cases of a checkout of github.com/sigstore/sigstore-conformance against the built program, each
// by the artifact's file and by its digest, without a network.
//
//	go run ./test/sigstore -checkout DIR
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// What a case is signed by unless it says otherwise, as the suite has it.
const (
	identity = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
	issuer   = "https://token.actions.githubusercontent.com"
)

func main() {
	checkout := flag.String("checkout", "", "folder with a checkout of github.com/sigstore/sigstore-conformance")
	ringfence := flag.String("ringfence", "bin/ringfence", "program of Ringfence")
	flag.Parse()
	if err := run(*checkout, *ringfence); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(checkout, ringfence string) error {
	folder := filepath.Join(checkout, "test", "assets", "bundle-verify")
	cases, err := filepath.Glob(filepath.Join(folder, "*", "bundle.sigstore.json"))
	if err != nil {
		return err
	}
	if len(cases) == 0 {
		return fmt.Errorf("-checkout: expected a checkout of https://github.com/sigstore/sigstore-conformance, found no case in %s", folder)
	}
	passed, failed := 0, 0
	for _, bundle := range cases {
		for _, byDigest := range []bool{false, true} {
			if err := try(ringfence, filepath.Dir(bundle), byDigest); err != nil {
				failed++
				fmt.Println(err)
				continue
			}
			passed++
		}
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		return errors.New("not all cases went as the suite expects")
	}
	return nil
}

// try runs one case and says in what it went otherwise than expected.
func try(ringfence, dir string, byDigest bool) error {
	args, err := arguments(dir, byDigest)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, ringfence, args...).CombinedOutput()
	exit, refused := errors.AsType[*exec.ExitError](err)
	if err != nil && (!refused || exit.ExitCode() < 0) {
		return fmt.Errorf("%s: %w", filepath.Base(dir), err)
	}
	if wanted := strings.HasSuffix(filepath.Base(dir), "_fail"); refused != wanted {
		return fmt.Errorf("%s (by digest: %t): refused: %t, expected %t\n  %s", filepath.Base(dir), byDigest, refused, wanted, strings.TrimSpace(string(out)))
	}
	return nil
}

func arguments(dir string, byDigest bool) ([]string, error) {
	args := []string{"artifact", "verify", "--bundle", filepath.Join(dir, "bundle.sigstore.json")}
	if there(dir, "key.pub") {
		args = append(args, "--key", filepath.Join(dir, "key.pub"))
	} else {
		args = append(args, "--certificate-identity", said(dir, "identity", identity), "--certificate-oidc-issuer", said(dir, "issuer", issuer))
	}
	if there(dir, "trusted_root.json") {
		args = append(args, "--trusted-root", filepath.Join(dir, "trusted_root.json"))
	}
	artifact := filepath.Join(filepath.Dir(dir), "a.txt")
	if there(dir, "artifact") {
		artifact = filepath.Join(dir, "artifact")
	}
	if !byDigest {
		return append(args, artifact), nil
	}
	raw, err := os.ReadFile(artifact)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	return append(args, "sha256:"+hex.EncodeToString(sum[:])), nil
}

func there(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

func said(dir, name, otherwise string) string {
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return otherwise
	}
	return strings.TrimSpace(string(raw))
}
