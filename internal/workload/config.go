package workload

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

// maxConfigBytes guards the disk; configs are held to less when they are made.
const maxConfigBytes = 1 << 20

// checkFiles refuses paths that would lead out of the folder, or could not all be there.
func checkFiles(files map[string]string) error {
	size := 0
	for name, text := range files {
		if name == "." || !filepath.IsLocal(name) || path.Clean(name) != name || strings.ContainsAny(name, "\\\x00") {
			return errs.E(errs.Invalid, "the config's file %q; expected a relative path without . or ..", name)
		}
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, is := files[dir]; is {
				return errs.E(errs.Invalid, "the config's file %q lies below %q, which is a file too", name, dir)
			}
		}
		size += len(text)
	}
	if size > maxConfigBytes {
		return errs.E(errs.Invalid, "the config's files have %d bytes; expected at most %d", size, maxConfigBytes)
	}
	return nil
}

// needsFolder says whether a slot's processes are given a folder with its config's files.
func needsFolder(s fleet.Slot) bool {
	return len(s.Files) > 0 || slices.ContainsFunc(s.Command, func(arg string) bool { return strings.Contains(arg, "{config}") })
}

// settings are the files of a slot's config, on disk for its processes.
//
// A folder is named after what is in it: processes of an earlier content of the same version keep theirs while they are
// replaced. It appears whole, so that no process sees half of it, and each file is put right by renaming a whole one
// over it, which whoever watches it is told of. Links are not followed: what is no folder or file of ours is replaced.
type settings struct {
	dir string

	mu    sync.Mutex
	known map[string]fileMark // files that hold what they should, as they were when that was seen; nil before the first look
	ended bool                // the slot's folder is on its way out
}

// unfinished begins the names of what is being written.
const unfinished = ".new-"

// put makes the folder of these files so, and returns it.
func (s *settings) put(files map[string]string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return "", errs.E(errs.Missing, "the version is no longer wanted")
	}
	root, err := s.open()
	if err != nil {
		return "", err
	}
	defer root.Close()
	name := nameOf(files)
	if info, err := root.Lstat(name); err == nil && info.IsDir() {
		err = s.repair(root, name, files)
		return filepath.Join(s.dir, name), err
	}
	draft := unfinished + randomHex(8)
	err = root.Mkdir(draft, 0o700)
	if err == nil {
		err = s.repair(root, draft, files)
	}
	if err == nil {
		err = replace(root, draft, name)
	}
	clear(s.known)
	if err != nil {
		return "", errors.Join(err, root.RemoveAll(draft))
	}
	return filepath.Join(s.dir, name), nil
}

// end makes put write nothing any more.
func (s *settings) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// open opens the folder of all contents; at the first time it takes away what a crash left unfinished.
func (s *settings) open() (*os.Root, error) {
	if info, err := os.Lstat(s.dir); err == nil && !info.IsDir() {
		if err := os.Remove(s.dir); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil || s.known != nil {
		return root, err
	}
	s.known = map[string]fileMark{}
	left, err := fs.Glob(root.FS(), unfinished+"*")
	for _, l := range left {
		err = errors.Join(err, root.RemoveAll(l))
	}
	return root, err
}

// repair writes what is missing below a folder, or not as it should be.
func (s *settings) repair(root *os.Root, folder string, files map[string]string) error {
	if err := ensureDir(root, folder); err != nil {
		return err
	}
	for name, text := range files {
		if err := s.right(root, path.Join(folder, name), text); err != nil {
			return err
		}
	}
	return nil
}

func (s *settings) right(root *os.Root, name, text string) error {
	for i := range name {
		if name[i] == '/' {
			if err := ensureDir(root, name[:i]); err != nil {
				return err
			}
		}
	}
	if info, err := root.Lstat(name); err == nil {
		m, err := markFrom(name, info, 0o600)
		if err == nil && m == s.known[name] {
			return nil
		}
		if err == nil && info.Size() == int64(len(text)) {
			if b, err := root.ReadFile(name); err == nil && string(b) == text {
				s.known[name] = m
				return nil
			}
		}
	}
	draft := unfinished + randomHex(8)
	f, err := root.OpenFile(draft, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = replace(root, draft, name)
	}
	if err != nil {
		return errors.Join(err, root.RemoveAll(draft))
	}
	return nil
}

// ensureDir makes a folder that is only ours; its parent is one already.
func ensureDir(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	switch {
	case err == nil && info.IsDir() && info.Mode().Perm() == 0o700:
		return nil
	case err == nil && info.IsDir():
		return root.Chmod(name, 0o700)
	case err == nil:
		if err := root.Remove(name); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return root.Mkdir(name, 0o700)
}

// replace gives a draft its name, in the place of whatever has that name.
func replace(root *os.Root, draft, name string) error {
	into, err := root.Lstat(draft)
	if err != nil {
		return err
	}
	if was, err := root.Lstat(name); err == nil && (was.IsDir() || into.IsDir()) {
		if err := root.RemoveAll(name); err != nil {
			return err
		}
	}
	return root.Rename(draft, name)
}

// nameOf names a folder after the files that shall be in it.
func nameOf(files map[string]string) string {
	b, err := json.Marshal(files)
	if err != nil {
		panic(err) // strings only
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// lookAtConfigs puts right what was changed below processes that run.
func (r *Runtime) lookAtConfigs() {
	type use struct {
		slot  *slot
		files map[string]string
	}
	uses := map[string]use{}
	r.mu.Lock()
	for _, versions := range r.slots {
		for _, s := range versions {
			for _, i := range s.instances {
				if i.view.PID != 0 && !i.stopping && needsFolder(i.rec.Slot) {
					uses[s.service+"/"+s.version+"/"+i.key] = use{s, i.rec.Slot.Files}
				}
			}
		}
	}
	r.mu.Unlock()
	for at, u := range uses {
		_, err := u.slot.config.put(u.files)
		if err != nil && !errs.Is(err, errs.Missing) {
			r.opt.Logger.Warn("the files of a config cannot be put right", "slot", path.Dir(at), "error", err)
		}
	}
}
