package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringfence/ringfence/internal/errs"
)

// RunFile tells other processes of the same data folder where a plane is to be found.
type RunFile struct {
	URL     string    `json:"url"`
	Gateway string    `json:"gateway,omitempty"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
}

// runPath is where a plane's run file is: <data>/run/server.json or dataplane.json.
func runPath(data, plane string) string { return filepath.Join(data, "run", plane+".json") }

// ReadRunFile reads where a plane of a data folder is; errs.Missing when it has never run.
func ReadRunFile(data, plane string) (RunFile, error) {
	var r RunFile
	b, err := os.ReadFile(runPath(data, plane))
	if errors.Is(err, fs.ErrNotExist) {
		return r, errs.E(errs.Missing, "ringfence %s has not run in %s", plane, data)
	}
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(b, &r)
}

func writeRunFile(data, plane string, r RunFile) error {
	r.PID, r.Started = os.Getpid(), time.Now().UTC()
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return writeFile(runPath(data, plane), b)
}

// writeFile replaces a file whole: a reader, and a machine that loses power, sees the old or the new content.
func writeFile(path string, b []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// lockFolder takes a folder for this process alone; the lock goes with the process, however it ends.
func lockFolder(data, plane string) (*os.File, error) {
	dir := filepath.Join(data, "run")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, plane+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		running, _ := ReadRunFile(data, plane)
		return nil, errs.E(errs.Conflict, "ringfence %s runs in %s already (process %d)", plane, data, running.PID).
			Next("stop it with: ringfence down --data %s", data)
	}
	return f, nil
}

// disk keeps one file, for the agent.
type disk string

func (d disk) Save(b []byte) error { return writeFile(string(d), b) }

func (d disk) Load() ([]byte, error) {
	b, err := os.ReadFile(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("what was last wanted: %w", err)
	}
	return b, nil
}
