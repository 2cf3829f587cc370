package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const testOrigin = "ringfence/test"

func testKey(t interface{ Fatal(...any) }, n byte) (private, public string) {
	private, public, err := KeyFor(testOrigin, bytes.Repeat([]byte{n}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return private, public
}

func signedAt(t interface{ Fatal(...any) }, private string, events []Event) []byte {
	var tree Tree
	for _, e := range events {
		leaf, err := Leaf(e.Hash)
		if err != nil {
			t.Fatal(err)
		}
		tree.Append(leaf)
	}
	b, err := SignCheckpoint(Checkpoint{testOrigin, Head{tree.Size, tree.Root()}}, private)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// files is an export in memory.
type files map[string][]byte

func exported(t interface{ Fatal(...any) }, private, public string, events []Event) files {
	var lines, leaves bytes.Buffer
	for _, e := range events {
		line, err := ExportLine(e)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(line)
		leaf, err := Leaf(e.Hash)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&leaves, leaf)
	}
	return files{FileEvents: lines.Bytes(), FileLeaves: leaves.Bytes(), FileCheckpoint: signedAt(t, private, events), FileKeys: []byte(public + "\n")}
}

func (f files) check(earlier ...[]byte) (Report, error) {
	keys, err := ParseKeys(f[FileKeys])
	if err != nil {
		return Report{}, err
	}
	return Export{Events: bytes.NewReader(f[FileEvents]), Leaves: bytes.NewReader(f[FileLeaves]), Checkpoint: f[FileCheckpoint], Keys: keys, Earlier: earlier}.Check()
}

func recorded(n int) []Event {
	events := make([]Event, n)
	for i := range events {
		events[i] = Event{Time: time.UnixMicro(int64(i) * 1e6).UTC(), Type: "a.done", Actor: "user:test", Subject: fmt.Sprint("k/", i), Data: json.RawMessage(fmt.Sprintf(`{"n": %d, "html": "<&>"}`, i))}
	}
	return chain(events...)
}

func TestExportIsWhole(t *testing.T) {
	private, public := testKey(t, 1)
	events := recorded(20)
	f := exported(t, private, public, events)
	r, err := f.check(signedAt(t, private, events[:7]), signedAt(t, private, nil), f[FileCheckpoint])
	if err != nil || r.Events != 20 || r.Key != public || !slices.Equal(r.Earlier, []int64{0, 7, 20}) {
		t.Fatalf("%+v, %v", r, err)
	}
}

// TestExportAnyByte: whatever byte of whatever file is changed, the export is no longer whole.
func TestExportAnyByte(t *testing.T) {
	private, public := testKey(t, 1)
	f := exported(t, private, public, recorded(12))
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{FileEvents, FileLeaves, FileCheckpoint, FileKeys}).Draw(t, "file")
		i := rapid.IntRange(0, len(f[name])-1).Draw(t, "byte")
		b := bytes.Clone(f[name])
		b[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		changed := files{}
		for k, v := range f {
			changed[k] = v
		}
		changed[name] = b
		_, err := changed.check()
		if err == nil {
			t.Fatalf("byte %d of %s was changed from %q to %q and the export is whole", i, name, f[name][i], b[i])
		}
		if name == FileEvents && b[i] != '\n' && f[name][i] != '\n' {
			if want := int64(bytes.Count(f[name][:i], []byte("\n")) + 1); badSeq(err) != want {
				t.Fatalf("event %d was changed: %v", want, err)
			}
		}
	})
}

func TestExportNamesTheFirst(t *testing.T) {
	private, public := testKey(t, 1)
	other, otherPublic := testKey(t, 2)
	events := recorded(20)
	early := signedAt(t, private, events[:10])
	rewritten := func(at int) []Event { // all from there on, so that the chain fits
		again := slices.Clone(events)
		again[at-1].Actor = "user:mallory"
		return chain(again...)
	}
	lines := func(f files, keep func(lines []string) []string, names ...string) files {
		for _, name := range names {
			all := strings.SplitAfter(string(f[name]), "\n")
			f[name] = []byte(strings.Join(keep(all[:len(all)-1]), ""))
		}
		return f
	}
	whole := func() files { return exported(t, private, public, events) }
	mixed := func(at int) files { // rewritten events under the log's own leaves and checkpoint
		f := whole()
		f[FileEvents] = exported(t, private, public, rewritten(at))[FileEvents]
		return f
	}
	for _, c := range []struct {
		name    string
		files   files
		earlier [][]byte
		bad     int64
		says    string
	}{
		{"dropped", lines(whole(), func(l []string) []string { return slices.Delete(l, 6, 7) }, FileEvents), nil, 7, "expected here"},
		{"reordered", lines(whole(), func(l []string) []string { l[4], l[5] = l[5], l[4]; return l }, FileEvents), nil, 5, "expected here"},
		{"added in between", lines(whole(), func(l []string) []string { return slices.Insert(l, 3, l[3]) }, FileEvents), nil, 5, "expected here"},
		{"added at the end", exported(t, private, public, recorded(21)).with(FileCheckpoint, signedAt(t, private, events)), nil, 21, "was added"},
		{"end cut off", lines(whole(), func(l []string) []string { return l[:15] }, FileEvents, FileLeaves), nil, 16, "is missing"},
		{"last newline cut off", whole().with(FileEvents, bytes.TrimSuffix(whole()[FileEvents], []byte("\n"))), nil, 20, "not written"},
		{"rewritten", mixed(5), nil, 5, "rewritten"},
		{"rewritten with its leaves", mixed(5).with(FileLeaves, exported(t, private, public, rewritten(5))[FileLeaves]), nil, 1, "do not lead"},
		{"signed again after a cut", exported(t, private, public, events[:8]), [][]byte{early}, 9, "cut off"},
		{"signed again after a rewrite", exported(t, private, public, rewritten(14)), [][]byte{early, signedAt(t, private, events[:15])}, 11, "was rewritten"},
		{"leaves changed", whole().with(FileLeaves, exported(t, private, public, rewritten(9))[FileLeaves]), nil, 9, "leaves"},
		{"another's signature", exported(t, other, otherPublic, events).with(FileKeys, []byte(public+"\n")), nil, 0, "not signed"},
		{"another's key and signature", exported(t, other, otherPublic, events), [][]byte{early}, 0, "not signed"},
		{"no keys", whole().with(FileKeys, nil), nil, 0, "no key"},
		{"no signature", whole().with(FileCheckpoint, []byte(Checkpoint{Origin: testOrigin}.Text())), nil, 0, "not signed"},
	} {
		_, err := c.files.check(c.earlier...)
		if err == nil || badSeq(err) != c.bad || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, expected event %d, %q", c.name, err, c.bad, c.says)
		}
	}
}

func (f files) with(name string, b []byte) files {
	f[name] = b
	return f
}

func TestKeys(t *testing.T) {
	for n := range byte(40) {
		private, public := testKey(t, n)
		if got, err := PublicKey(private); err != nil || got != public {
			t.Fatalf("%s, %v, expected %s", got, err, public)
		}
	}
	for _, bad := range []string{"", "x", "PRIVATE+KEY+a+b+c"} {
		if got, err := PublicKey(bad); err == nil {
			t.Errorf("%q gave %s", bad, got)
		}
	}
}

func TestWitness(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))
	raw := append([]byte{cosignature}, key.Public().(ed25519.PublicKey)...)
	sum := sha256.Sum256(append([]byte("witness.example\n"), raw...))
	text := fmt.Sprintf("witness.example+%x+%s", sum[:4], base64.StdEncoding.EncodeToString(raw))
	w, err := ParseWitness(text)
	if err != nil {
		t.Fatal(err)
	}
	c := Checkpoint{testOrigin, Head{5, Hash{1}}}
	sig := append([]byte{}, sum[:4]...)
	sig = binary.BigEndian.AppendUint64(sig, 1700000000)
	sig = append(sig, ed25519.Sign(key, []byte(cosigned(c, 1700000000)))...)
	line := "— witness.example " + base64.StdEncoding.EncodeToString(sig) + "\n"
	if got, at, err := w.Cosigned(c, []string{"— other AAAA\n", line}); err != nil || at != 1700000000 || got != line {
		t.Fatalf("%q, %d, %v", got, at, err)
	}
	if _, _, err := w.Cosigned(Checkpoint{testOrigin, Head{6, Hash{1}}}, []string{line}); err == nil {
		t.Error("the cosignature of another checkpoint is taken")
	}
	for _, bad := range []string{"", "a+b+c", strings.Replace(text, "witness", "Witness", 1), text + "A"} {
		if _, err := ParseWitness(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzParseExportLine(f *testing.F) {
	for _, e := range recorded(3) {
		line, _ := ExportLine(e)
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := ParseExportLine(line)
		if err != nil {
			return
		}
		if again, err := ExportLine(e); err != nil || !bytes.Equal(again, line) {
			t.Fatalf("%q is read and written as %q, %v", line, again, err)
		}
	})
}

func FuzzOpenCheckpoint(f *testing.F) {
	private, public := testKey(f, 1)
	signed := signedAt(f, private, recorded(3))
	f.Add(signed)
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := OpenCheckpoint(b, []string{public})
		if err == nil && len(o.Others) == 0 && !bytes.Equal(b, signed) {
			t.Fatalf("%q was never signed", b)
		}
	})
}

func FuzzParseWitness(f *testing.F) {
	f.Add("witness.example+00000000+BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	f.Fuzz(func(_ *testing.T, s string) { _, _ = ParseWitness(s) })
}
