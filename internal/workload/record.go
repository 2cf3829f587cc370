package workload

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

// phase of a record.
type phase string

const (
	phaseIntent   phase = "intent"   // about to be started, or started and not yet recorded: look for the token
	phaseRunning  phase = "running"  // pid, start time and boot say which process it is
	phaseDown     phase = "down"     // not running, waiting to be started again
	phaseStopping phase = "stopping" // on its way out; never made ready again
)

// record is what is kept on disk of one instance, enough for another runtime to carry on with it.
type record struct {
	Service    string     `json:"service"`
	Slot       fleet.Slot `json:"slot"`
	N          int        `json:"n"`
	Phase      phase      `json:"phase"`
	Token      string     `json:"token"`
	PID        int        `json:"pid,omitempty"`
	StartTicks uint64     `json:"startTicks,omitempty"`
	Boot       string     `json:"boot,omitempty"`
	Port       int        `json:"port"`
	Started    time.Time  `json:"started"`            // of the present process
	Since      time.Time  `json:"since"`              // not ready since, so that a restart of the runtime does not extend Within
	WasReady   bool       `json:"wasReady,omitempty"` // ready at some time after Since
	Restarts   int        `json:"restarts"`
	Attempt    int        `json:"attempt"` // position in the back-off
	LastExit   string     `json:"lastExit,omitempty"`
}

const lockPatience = time.Second

const recordFile = "record.json"

func saveRecord(dir string, r record) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, recordFile), b)
}

// writeFile replaces a file whole: after a crash there is the old content or the new, never a part.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// loadRecords reads every record below slots. A record that cannot be read is reported and left out; its
// process, if there is one, is found by its token and stopped.
func loadRecords(slots string, warn func(path string, err error)) ([]record, error) {
	paths, err := filepath.Glob(filepath.Join(globEscape(slots), "*", "*", "*", recordFile))
	if err != nil {
		return nil, err
	}
	var out []record
	for _, p := range paths {
		b, err := os.ReadFile(p)
		var r record
		if err == nil {
			err = json.Unmarshal(b, &r)
		}
		if err == nil && (r.Service == "" || r.Slot.Version == "" || r.N < 1 || r.Token == "" && r.Phase != phaseDown) {
			err = errors.New("a needed field is missing")
		}
		if err != nil {
			warn(p, err)
			continue
		}
		out = append(out, r)
	}
	return out, nil
}

func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// lockDir makes sure that one runtime at a time uses a folder. The lock goes with the process, however it ends;
// but a process that it was just forking holds the lock until exec, so a moment is given.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(lockPatience); ; time.Sleep(10 * time.Millisecond) {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errs.E(errs.Conflict, "another data plane is running on %s", dir).
				Next("Stop it first, or give this one a folder of its own.")
		}
		return nil, err
	}
	return f, nil
}

// folderID names this folder in the tokens of its instances, so that a runtime never takes the processes of
// another one for its own.
func folderID(dir string) (string, error) {
	path := filepath.Join(dir, "id")
	b, err := os.ReadFile(path)
	if err == nil && len(b) == 16 {
		return string(b), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	id := randomHex(8)
	return id, writeFile(path, []byte(id))
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// Readable says what of a runtime's folder this version cannot read. Such instances would be stopped.
func Readable(dir string) error {
	var bad []error
	_, err := loadRecords(filepath.Join(dir, "slots"), func(path string, err error) { bad = append(bad, fmt.Errorf("%s: %w", path, err)) })
	return errors.Join(append(bad, err)...)
}
