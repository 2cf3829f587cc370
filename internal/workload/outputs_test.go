package workload

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A reader that goes on from its place sees every byte once, through rotations and a new start of the runtime.
func TestOutputsAreReadOnThroughRotations(t *testing.T) {
	for _, collapse := range []bool{true, false} {
		dir := t.TempDir()
		r := &Runtime{opt: Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)}, logs: newLogs(100<<10, 2)}
		if !collapse {
			r.logs.collapse = func(*os.File, int64) error { return os.ErrInvalid }
		}
		logDir := r.logDir("shop", "v1@2")
		must(t, os.MkdirAll(logDir, 0o700))
		path := filepath.Join(logDir, "1.log")
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		must(t, err)
		defer f.Close()
		var want, got strings.Builder
		id, at := "", int64(0)
		read := func() {
			t.Helper()
			streams := Outputs{r}.Streams()
			if len(streams) != 1 || streams[0].Labels.Service != "shop" || streams[0].Labels.Version != "v1@2" || streams[0].Labels.Instance != "1" {
				t.Fatalf("%+v", streams)
			}
			id = streams[0].ID
			for at < streams[0].Size {
				b, from, err := Outputs{r}.Read(id, at, 7000)
				must(t, err)
				if from != at || len(b) == 0 {
					t.Fatalf("%d bytes from %d, expected some from %d", len(b), from, at)
				}
				got.Write(b)
				at += int64(len(b))
			}
		}
		for i := range 40 {
			line := fmt.Sprintf("%d %s\n", i, strings.Repeat("x", 9000))
			want.WriteString(line)
			_, err := f.WriteString(line)
			must(t, err)
			r.logs.rotate(r.opt.Logger)
			if i%3 == 0 {
				read()
			}
			if i == 20 {
				collapseOf := r.logs.collapse
				r = &Runtime{opt: r.opt, logs: newLogs(100<<10, 2)}
				r.logs.collapse = collapseOf
			}
		}
		read()
		if got.String() != want.String() {
			t.Errorf("collapse %t: %d bytes were read, expected %d", collapse, got.Len(), want.Len())
		}
		if b, from, err := (Outputs{r}).Read(id, 0, 100); err != nil || from == 0 || len(b) == 0 {
			t.Errorf("what is gone: %d bytes from %d, %v", len(b), from, err)
		}
		if _, _, err := (Outputs{r}).Read("../../../etc/passwd#1", 0, 10); err == nil {
			t.Error("a path out of the folder is read")
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
