package app

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/errs"
)

func TestAFolderIsTakenOnce(t *testing.T) {
	data := t.TempDir()
	lock, err := lockFolder(data, "server")
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockFolder(data, "server")
	if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "process "+strconv.Itoa(os.Getpid())) || !strings.Contains(errs.HintOf(err), "ringfence down --data "+data) {
		t.Errorf("taken twice: %v", err)
	}
	other, err := lockFolder(data, "dataplane")
	if err != nil {
		t.Fatalf("of another plane: %v", err)
	}
	if err := errors.Join(lock.Close(), other.Close()); err != nil {
		t.Fatal(err)
	}
	if lock, err = lockFolder(data, "server"); err != nil {
		t.Fatalf("left by its owner: %v", err)
	}
	_ = lock.Close()
	if _, err := lockFolder(filepath.Join("/dev/null", "x"), "server"); err == nil || errs.Is(err, errs.Conflict) {
		t.Errorf("a folder that cannot be: %v", err)
	}
}

func TestTheHolderOfAFolder(t *testing.T) {
	data := t.TempDir()
	if pid := lockHolder(data, "server"); pid != 0 {
		t.Errorf("nobody has it, and process %d does", pid)
	}
	lock, err := tryLock(data, "server") // as a version that does not write itself into the lock
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := writeRunFile(data, "server", RunFile{}); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"empty": "", "of a process that has ended": "4194304999", "damaged": "x"} {
		if err := os.WriteFile(lockPath(data, "server"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if pid := lockHolder(data, "server"); pid != os.Getpid() {
			t.Errorf("the lock's file is %s: process %d", name, pid)
		}
	}
}

func TestAFileIsReplacedWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "desired.json")
	old, young := bytes.Repeat([]byte("old "), 1<<14), bytes.Repeat([]byte("young"), 1<<14)
	if err := writeFile(path, old); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		var err error
		for i := range 40 {
			err = errors.Join(err, writeFile(path, [][]byte{young, old}[i%2]))
		}
		done <- err
	}()
	for reading := true; reading; {
		select {
		case err := <-done:
			if reading = false; err != nil {
				t.Fatal(err)
			}
		default:
		}
		if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, old) && !bytes.Equal(b, young) {
			t.Fatalf("read %d bytes that were never written: %v", len(b), err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v: others may read it", info.Mode(), err)
	}
}

func TestAFileThatCannotBeReplacedIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "desired.json")
	if err := os.MkdirAll(filepath.Join(path, "in-the-way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(path, []byte("x")); err == nil {
		t.Error("a folder was replaced by a file")
	}
	// What a crash left half-written is no hindrance.
	path = filepath.Join(filepath.Dir(path), "users.json")
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), ".users.json.new"), []byte("a long half of something"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "new" {
		t.Errorf("read %q", b)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*.new")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDisk(t *testing.T) {
	d := disk(filepath.Join(t.TempDir(), "desired.json"))
	if b, err := d.Load(); b != nil || err != nil {
		t.Errorf("before the first: %q %v", b, err)
	}
	if err := d.Save([]byte("{}")); err != nil {
		t.Fatal(err)
	}
	if b, err := d.Load(); string(b) != "{}" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	if _, err := disk(filepath.Dir(string(d))).Load(); err == nil {
		t.Error("a folder was read")
	}
}

func TestTheIDOfADataPlane(t *testing.T) {
	data := t.TempDir()
	id, err := planeID(data)
	if err != nil || len(id) < 16 {
		t.Fatalf("%q %v", id, err)
	}
	if again, err := planeID(data); again != id || err != nil {
		t.Errorf("after a restart: %q %v", again, err)
	}
	if other, err := planeID(t.TempDir()); other == id || err != nil {
		t.Errorf("of another folder: %q %v", other, err)
	}
	if err := os.WriteFile(filepath.Join(data, "id"), nil, 0o600); err != nil { // cut short by a crash that was not ours
		t.Fatal(err)
	}
	if again, err := planeID(data); len(again) < 16 || err != nil {
		t.Errorf("emptied: %q %v", again, err)
	}
}
