package app

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringfence/ringfence/internal/errs"
)

// RunFile tells other processes of the same data folder where a plane is to be found.
type RunFile struct {
	URL     string    `json:"url"`
	Gateway string    `json:"gateway,omitempty"`
	Flags   string    `json:"flags,omitempty"`
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

// writeFile replaces a file whole: a reader, and a machine that loses power, sees the old or the new content. A file
// has one writer, so that the new one has one name, and a crash leaves nothing that would pile up.
func writeFile(path string, b []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "."+filepath.Base(path)+".new"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
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

// lockFolder takes a folder for this process alone; the lock goes with the process, however it ends. The lock's file
// holds the process's number. errs.Conflict when another process has the folder.
func lockFolder(data, plane string) (*os.File, error) {
	f, err := tryLock(data, plane)
	if errs.Is(err, errs.Conflict) {
		return nil, errs.E(errs.Conflict, "ringfence %s runs in %s already (process %d)", plane, data, lockHolder(data, plane)).
			Next("stop it with: ringfence down --data %s", data)
	}
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid()))); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock of %s: %w", data, err)
	}
	return f, nil
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

func lockPath(data, plane string) string { return filepath.Join(data, "run", plane+".lock") }

func tryLock(data, plane string) (*os.File, error) {
	path := lockPath(data, plane)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		_ = f.Close()
		return nil, errs.E(errs.Conflict, "%s is locked", path)
	case err != nil:
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// lockHolder is the process that has a folder, 0 when it has not said so yet: by the lock's file or, of a version
// that did not write itself there, by the run file.
func lockHolder(data, plane string) int {
	b, err := os.ReadFile(lockPath(data, plane))
	if pid, bad := strconv.Atoi(string(b)); err == nil && bad == nil && pid > 0 && alive(pid) {
		return pid
	}
	run, err := ReadRunFile(data, plane)
	if err != nil || !alive(run.PID) {
		return 0
	}
	return run.PID
}

// planeID names the data plane of a folder: the same after every restart, and another one elsewhere.
func planeID(data string) (string, error) {
	d := disk(filepath.Join(data, "id"))
	b, err := d.Load()
	if err != nil || len(b) > 0 && len(b) <= 64 {
		return string(b), err
	}
	id := rand.Text()
	return id, d.Save([]byte(id))
}

// disk keeps one file.
type disk string

func (d disk) Save(b []byte) error { return writeFile(string(d), b) }

func (d disk) Load() ([]byte, error) {
	b, err := os.ReadFile(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}
