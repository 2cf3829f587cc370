package workload

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// below reads every file below a folder, by relative path, and fails for what others could read.
func below(t interface{ Fatal(...any) }, dir string) map[string]string {
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if want := map[bool]os.FileMode{true: os.ModeDir | 0o700, false: 0o600}[d.IsDir()]; info.Mode() != want {
			t.Fatal(p, info.Mode())
		}
		if d.IsDir() {
			return nil
		}
		name, _ := filepath.Rel(dir, p)
		b, err := os.ReadFile(p)
		got[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Whatever was done to the folder, a look makes it right, and touches nothing outside of it.
func TestAFolderOfAConfigIsPutRight(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	for name, harm := range map[string]func(dir string) error{
		"nothing":             func(string) error { return nil },
		"a file is gone":      func(d string) error { return os.Remove(d + "/prices.json") },
		"a folder is gone":    func(d string) error { return os.RemoveAll(d + "/texts") },
		"all is gone":         os.RemoveAll,
		"another content":     func(d string) error { return os.WriteFile(d+"/prices.json", []byte(`{"1":99.9}`), 0o600) },
		"longer":              func(d string) error { return os.WriteFile(d+"/prices.json", make([]byte, 1<<16), 0o600) },
		"others may read it":  func(d string) error { return os.Chmod(d+"/prices.json", 0o644) },
		"others may enter":    func(d string) error { return os.Chmod(d+"/texts", 0o755) },
		"a folder for a file": func(d string) error { _ = os.Remove(d + "/prices.json"); return os.MkdirAll(d+"/prices.json/x", 0o700) },
		"a pipe for a file": func(d string) error {
			_ = os.Remove(d + "/prices.json")
			return syscall.Mkfifo(d+"/prices.json", 0o600)
		},
		"a file for a folder": func(d string) error { _ = os.RemoveAll(d + "/texts"); return os.WriteFile(d+"/texts", nil, 0o600) },
		"a link for a file": func(d string) error {
			_ = os.Remove(d + "/prices.json")
			return os.Symlink(outside+"/prices.json", d+"/prices.json")
		},
		"a link for a folder":  func(d string) error { _ = os.RemoveAll(d + "/texts"); return os.Symlink(outside, d+"/texts") },
		"a link for all":       func(d string) error { _ = os.RemoveAll(d); return os.Symlink(outside, d) },
		"a link for the place": func(d string) error { d = filepath.Dir(d); _ = os.RemoveAll(d); return os.Symlink(outside, d) },
		"a link within": func(d string) error {
			_ = os.Remove(d + "/prices.json")
			return os.Symlink("texts/de/hello", d+"/prices.json")
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.RemoveAll(outside); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(outside+"/de", 0o700); err != nil {
				t.Fatal(err)
			}
			theirs := map[string]string{"prices.json": "theirs", "de/hello": "theirs"}
			for f, text := range theirs {
				if err := os.WriteFile(filepath.Join(outside, f), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			files := map[string]string{"prices.json": `{"1":39.9}`, "texts/de/hello": "Guten Tag", "texts/empty": ""}
			s := &settings{dir: filepath.Join(t.TempDir(), "slot", "config")}
			for range 2 { // once made, once seen
				if _, err := s.put(files); err != nil {
					t.Fatal(err)
				}
			}
			dir, err := s.put(files)
			if err != nil {
				t.Fatal(err)
			}
			if err := harm(dir); err != nil {
				t.Fatal(err)
			}
			for _, who := range []*settings{s, {dir: s.dir}} { // and as the next runtime sees it
				again, err := who.put(files)
				if err != nil || again != dir {
					t.Fatal(again, err)
				}
				if d := cmp.Diff(files, below(t, dir)); d != "" {
					t.Error(d)
				}
			}
			if d := cmp.Diff(theirs, below(t, outside)); d != "" {
				t.Errorf("what lies outside was touched: %s", d)
			}
		})
	}
}

func TestAnyFilesThatMayBeAreWritten(t *testing.T) {
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.StringMatching(`(\.?[a-c.%]{1,3}/){0,3}\.?[a-c.%]{1,3}`)
		files := rapid.MapOfN(path, rapid.String(), 0, 6).Draw(t, "files")
		if checkFiles(files) != nil {
			t.Skip()
		}
		dir, err := (&settings{dir: root}).put(files)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(files, below(t, dir)); d != "" {
			t.Fatal(d)
		}
	})
	left, _ := filepath.Glob(root + "/" + unfinished + "*")
	if len(left) > 0 {
		t.Error(left)
	}
}

func TestWhatACrashLeftUnfinishedGoes(t *testing.T) {
	s := &settings{dir: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(s.dir, unfinished+"x", "y"), 0o700); err != nil {
		t.Fatal(err)
	}
	dir, err := s.put(map[string]string{"a": "b"})
	if err != nil {
		t.Fatal(err)
	}
	if all, _ := os.ReadDir(s.dir); len(all) != 1 || all[0].Name() != filepath.Base(dir) {
		t.Errorf("%v", all)
	}
	s.end()
	if _, err := s.put(map[string]string{"c": "d"}); err == nil {
		t.Error("written for a slot that is gone")
	}
}

// found are the variables of an instance that begin with a name.
func found(t *testing.T, address, name string) string {
	t.Helper()
	for kv := range strings.SplitSeq(strings.Trim(get(t, address, "/env"), "[]\n"), ",") {
		if v, ok := strings.CutPrefix(strings.Trim(kv, `"`), name+"="); ok {
			return v
		}
	}
	return ""
}

func TestAnInstanceFindsItsConfig(t *testing.T) {
	g := newRig(t).open()
	with := g.slot("v1@c2", 1)
	with.Files = map[string]string{"prices.json": "{}"}
	with.Command = append(with.Command, "--prices", "{config}/prices.json", "{version}")
	g.rt.Apply(shop(with, g.slot("v1", 1)))
	in := g.awaitReady("v1@c2", 1).Instances[0]
	dir := found(t, in.Address, "RINGFENCE_CONFIG")
	if d := cmp.Diff(with.Files, below(t, dir)); d != "" {
		t.Error(d)
	}
	if v, c := found(t, in.Address, "RINGFENCE_VERSION"), found(t, in.Address, "RINGFENCE_CONFIG_VERSION"); v != "v1" || c != "c2" {
		t.Errorf("version %q, config %q", v, c)
	}
	args, err := os.ReadFile("/proc/" + itoa(in.PID) + "/cmdline")
	if want := "--prices\x00" + dir + "/prices.json\x00v1\x00"; err != nil || !strings.HasSuffix(string(args), want) {
		t.Errorf("%q, %v", args, err)
	}
	bare := g.awaitReady("v1", 1).Instances[0]
	if v, dir := found(t, bare.Address, "RINGFENCE_VERSION"), found(t, bare.Address, "RINGFENCE_CONFIG"); v != "v1" || dir != "" {
		t.Errorf("without a config: version %q, folder %q", v, dir)
	}

	// Below a process that runs it is put right; it goes with its slot.
	if err := os.WriteFile(dir+"/prices.json", []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.await("the file is put right", func() bool { b, _ := os.ReadFile(dir + "/prices.json"); return string(b) == "{}" })
	g.rt.Apply(shop(g.slot("v1", 1)))
	g.await("the folder is gone", func() bool { _, err := os.Stat(dir); return os.IsNotExist(err) })
}

// Another content under the same label is another process with another folder; one that was adopted keeps its own.
func TestAdoptedInstancesKeepTheirConfig(t *testing.T) {
	g := newRig(t).open()
	slot := g.slot("v1@c1", 1)
	slot.Files = map[string]string{"greeting": "Hello"}
	g.rt.Apply(shop(slot))
	before := g.awaitReady("v1@c1", 1)
	dir := found(t, before.Instances[0].Address, "RINGFENCE_CONFIG")
	g.leave()
	if err := os.Remove(dir + "/greeting"); err != nil {
		t.Fatal(err)
	}
	g.open()
	g.rt.Apply(shop(slot))
	if d := cmp.Diff(pids(before), pids(g.awaitReady("v1@c1", 1))); d != "" {
		t.Error(d)
	}
	g.await("the file is put right", func() bool { b, _ := os.ReadFile(dir + "/greeting"); return string(b) == "Hello" })

	next := slot
	next.Files = map[string]string{"greeting": "Good day"}
	g.rt.Apply(shop(next))
	g.await("another process", func() bool {
		s := g.status("v1@c1")
		return len(s.Instances) == 1 && s.Ready == 1 && s.Instances[0].PID != before.Instances[0].PID
	})
	now := found(t, g.status("v1@c1").Instances[0].Address, "RINGFENCE_CONFIG")
	if d := cmp.Diff(map[string]string{"greeting": "Good day"}, below(t, now)); d != "" || now == dir {
		t.Error(now, d)
	}
}

func TestAConfigThatCannotBeWrittenIsSaid(t *testing.T) {
	g := newRig(t).open()
	slot := g.slot("v1@c1", 1)
	slot.Files = map[string]string{"../../escape": "x"}
	g.rt.Apply(shop(slot))
	if s := g.status("v1@c1"); !strings.Contains(s.Failure, `"../../escape"; expected a relative path`) || len(s.Instances) != 0 {
		t.Errorf("%+v", s)
	}
}
