package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ringfence/ringfence/internal/cli"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/handover"
)

// program is a binary with the arguments that it is to be started with.
type program struct {
	binary, version string
	args            []string
}

// former is the program before the present one, as it is kept in a folder.
type former struct {
	Binary  string   `json:"binary"` // in run/binaries
	Version string   `json:"version"`
	Args    []string `json:"args"`
}

func formerPath(data, plane string) string { return filepath.Join(data, "run", plane+".former.json") }

// choose finds the program that an upgrade is to, and refuses one that cannot be one.
func (s *seat) choose(ctx context.Context, r UpgradeRequest) (program, error) {
	if r.Back {
		f, err := formerOf(s.data, s.plane)
		if err != nil {
			return program{}, err
		}
		version, err := checkBinary(ctx, f.Binary)
		return program{f.Binary, version, f.Args}, err
	}
	version, err := checkBinary(ctx, r.Binary)
	return program{r.Binary, version, os.Args[1:]}, err
}

func formerOf(data, plane string) (f former, err error) {
	b, err := os.ReadFile(formerPath(data, plane))
	if errors.Is(err, fs.ErrNotExist) {
		return f, errs.E(errs.Missing, "the %s has not been upgraded in %s: there is no binary to go back to", planeNames[plane], data)
	}
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	return f, err
}

// versionLimit is how long a binary may take to say what it is.
const versionLimit = 20 * time.Second

// checkBinary asks a binary what it is and refuses one that knows no hand-over.
func checkBinary(ctx context.Context, path string) (version string, err error) {
	if !filepath.IsAbs(path) {
		return "", errs.E(errs.Invalid, "binary %q: expected an absolute path", path)
	}
	ctx, cancel := context.WithTimeout(ctx, versionLimit)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, path, "version", "--json")
	cmd.Stdout, cmd.Stdin, cmd.WaitDelay = &out, nil, time.Second
	if err := cmd.Run(); err != nil {
		return "", errs.Wrap(errs.Invalid, err, "%s does not say what it is", path).Next("Name a binary of Ringfence for this machine.")
	}
	var v struct {
		Version  string `json:"version"`
		Handover int    `json:"handover"`
	}
	if err := json.Unmarshal(out.Bytes(), &v); err != nil || v.Version == "" {
		return "", errs.E(errs.Invalid, "%s is no binary of Ringfence", path)
	}
	if v.Handover < 1 || v.Handover > handover.Protocol+1 || handover.Protocol > v.Handover+1 {
		return "", errs.E(errs.Conflict, "ringfence %s speaks version %d of the hand-over, ringfence %s version %d: they cannot replace one another", v.Version, v.Handover, cli.Version(), handover.Protocol).
			Next("Stop the one and start the other.")
	}
	return v.Version, nil
}

// keepBinary keeps a copy of the binary that runs, under its digest, whatever has become of the file that it was started from.
func keepBinary(run string) (former, error) {
	f := former{Version: cli.Version(), Args: os.Args[1:]}
	in, err := os.Open("/proc/self/exe")
	if err != nil {
		return f, err
	}
	defer in.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, in); err != nil {
		return f, err
	}
	dir := filepath.Join(run, "binaries")
	f.Binary = filepath.Join(dir, "ringfence-"+hex.EncodeToString(sum.Sum(nil)[:12]))
	if _, err := os.Stat(f.Binary); err == nil {
		return f, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return f, err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return f, err
	}
	out, err := os.OpenFile(f.Binary+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o700)
	if err != nil {
		return f, err
	}
	defer os.Remove(out.Name())
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return f, err
	}
	return f, os.Rename(out.Name(), f.Binary)
}

// rememberFormer says which binary to go back to, and forgets those that nobody would go back to.
func rememberFormer(data, plane string, f former) error {
	before, _ := formerOf(data, plane) // it may run now, having been gone back to
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(formerPath(data, plane), b); err != nil {
		return err
	}
	kept := map[string]bool{f.Binary: true, before.Binary: true}
	for _, other := range []string{"up", "server", "dataplane"} { // the control plane and up share a folder
		if o, err := formerOf(data, other); err == nil {
			kept[o.Binary] = true
		}
	}
	all, _ := filepath.Glob(filepath.Join(data, "run", "binaries", "*"))
	for _, path := range all {
		if !kept[path] && !strings.HasSuffix(path, ".new") && !executed(path) {
			_ = os.Remove(path)
		}
	}
	return nil
}

// executed says whether some process runs a program: the kernel lets nobody write to it then.
func executed(path string) bool {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_ = f.Close()
	}
	return errors.Is(err, syscall.ETXTBSY)
}

func pidText(pid int) string { return strconv.Itoa(pid) }
