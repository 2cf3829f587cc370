package strict

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(b[5:], stream)
	return append(b, payload...)
}

func setting(id uint16, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, id), value)
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// opened is a connection after its preface.
func opened(t *testing.T) *Frames {
	f := &Frames{Head: 64 << 10}
	if n, err := f.Scan([]byte(Preface), noon); n != len(Preface) || err != nil {
		t.Fatal(n, err)
	}
	return f
}

func TestFloods(t *testing.T) {
	headers := frame(frameHeaders, flagEndHeaders|flagEndStream, 1, []byte{0x82})
	for _, tt := range []struct {
		name   string
		frames []byte
		least  int // so many are fine
		most   int // and so many are not
		reason string
	}{
		{"rapid reset", append(bytes.Clone(headers), frame(frameReset, 0, 1, make([]byte, 4))...), 400, 600, "reset_flood"},
		{"pings", frame(0x6, 0, 0, make([]byte, 8)), 400, 600, "control_flood"},
		{"settings", frame(frameSettings, 0, 0, setting(1, 1)), 400, 600, "control_flood"},
		{"priorities", frame(0x2, 0, 1, make([]byte, 5)), 400, 600, "control_flood"},
		{"unknown frames", frame(0xbb, 0, 1, make([]byte, 5)), 400, 600, "control_flood"},
		{"empty data", frame(frameData, 0, 1, nil), 150, 300, "empty_frames"},
		{"window updates", frame(frameWindow, 0, 0, make([]byte, 4)), 3000, 6000, "window_flood"},
		{"continuations", frame(frameContinuation, 0, 1, []byte{0x82}), 30, 100, "continuation_flood"},
		{"empty continuations", frame(frameContinuation, 0, 1, nil), 0, 1, "continuation_flood"},
		{"endless header", frame(frameContinuation, 0, 1, bytes.Repeat([]byte{0x82}, 16<<10)), 5, 10, "header_too_large"},
		{"large settings", frame(frameSettings, 0, 0, make([]byte, 6*200)), 0, 1, "settings_too_large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := opened(t)
			n := 0
			var err error
			for ; n < tt.most && err == nil; n++ {
				_, err = f.Scan(tt.frames, noon.Add(time.Duration(n)*time.Microsecond))
			}
			fl, ok := errors.AsType[*Flood](err)
			if !ok || fl.Reason != tt.reason {
				t.Fatalf("after %d: %v, want %s", n, err, tt.reason)
			}
			if n-1 < tt.least {
				t.Errorf("ended after %d already", n)
			}
		})
	}
}

// TestHonestWork: a connection that is used a lot earns what it needs.
func TestHonestWork(t *testing.T) {
	f := opened(t)
	at := noon
	for range 20000 { // a call every ten microseconds that is answered, with a ping and window updates; one in four is cancelled
		at = at.Add(10 * time.Microsecond)
		all := frame(frameHeaders, flagEndHeaders|flagEndStream, 1, []byte{0x82})
		all = append(all, frame(frameWindow, 0, 0, make([]byte, 4))...)
		all = append(all, frame(0x6, 0, 0, make([]byte, 8))...)
		if n, err := f.Scan(all, at); n != len(all) || err != nil {
			t.Fatal(err)
		}
		f.Answered(1, 1024)
	}
	reset := frame(frameReset, 0, 1, make([]byte, 4))
	for range 100 { // and a page is left
		if _, err := f.Scan(reset, at); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSettingsGivenTwice: the last one counts, and the others are ones that nobody knows.
func TestSettingsGivenTwice(t *testing.T) {
	f := opened(t)
	all := frame(frameSettings, 0, 0, append(append(setting(4, 100), setting(4, 1)...), setting(3, 7)...))
	if n, err := f.Scan(all[:12], noon); n != 9 || err != nil {
		t.Fatalf("half of it: %d, %v", n, err)
	}
	if n, err := f.Scan(all[9:], noon); n != len(all)-9 || err != nil {
		t.Fatalf("the rest: %d, %v", n, err)
	}
	want := frame(frameSettings, 0, 0, append(append(setting(0xf100, 100), setting(4, 1)...), setting(3, 7)...))
	if !bytes.Equal(all, want) {
		t.Errorf("got %x, want %x", all, want)
	}
}

// TestBlocksWhole: of header blocks, whoever looks at them gets all bytes without padding and priority, however they are cut.
func TestBlocksWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Byte(), 10, 60).Draw(t, "block")
		cut := rapid.IntRange(1, 9).Draw(t, "cut")
		pad := rapid.IntRange(0, 20).Draw(t, "pad")
		payload := append([]byte{byte(pad), 0, 0, 0, 0, 16}, want[:cut]...)
		all := append([]byte(Preface), frame(frameHeaders, flagPadded|flagPriority, 1, append(payload, make([]byte, pad)...))...)
		all = append(all, frame(frameContinuation, flagEndHeaders, 1, want[cut:])...)
		all = append(all, frame(0x6, 0, 0, make([]byte, 8))...)
		var got []byte
		ends := 0
		f := Frames{Head: 64 << 10, Block: func(p []byte, end bool) error {
			got = append(got, p...)
			if end {
				ends++
			}
			return nil
		}}
		for len(all) > 0 {
			n := min(len(all), rapid.IntRange(1, 40).Draw(t, "piece"))
			if k, err := f.Scan(all[:n], noon); k != n || err != nil {
				t.Fatal(k, err)
			}
			all = all[n:]
		}
		if !bytes.Equal(got, want) || ends != 1 {
			t.Fatalf("got %x with %d ends, want %x", got, ends, want)
		}
	})
}

// TestBetweenFrames: something can be put between any two frames, and nowhere else.
func TestBetweenFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []byte
		starts := map[int]bool{0: true}
		ended := 0
		for range rapid.IntRange(1, 8).Draw(t, "frames") {
			kind, flags := rapid.SampledFrom([]byte{0, 1, 4, 6}).Draw(t, "kind"), rapid.SampledFrom([]byte{0, 1}).Draw(t, "flags")
			if kind <= 1 && flags == 1 {
				ended++
			}
			all = append(all, frame(kind, flags, 1, make([]byte, rapid.IntRange(0, 30).Draw(t, "length")))...)
			starts[len(all)] = true
		}
		var b Boundaries
		for at := 0; at < len(all); {
			if b.At() != starts[at] {
				t.Fatalf("at %d: %v", at, b.At())
			}
			n := b.Pass(all[at:min(len(all), at+rapid.IntRange(1, 20).Draw(t, "piece"))], true)
			at += n
		}
		if n := b.Ended(); n != ended {
			t.Fatalf("%d ended, want %d", n, ended)
		}
	})
}
