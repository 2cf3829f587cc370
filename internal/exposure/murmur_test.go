package exposure

import (
	"testing"

	"github.com/twmb/murmur3"
	"pgregory.net/rapid"
)

func TestHashIsMurmur3(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.StringN(0, 20, 60), 0, 5).Draw(t, "parts")
		h, whole := hash32{}, ""
		for _, p := range parts {
			h, whole = h.add(p), whole+p
		}
		if got, want := h.sum(), murmur3.StringSum32(whole); got != want {
			t.Fatalf("%q: got %08x, want %08x", parts, got, want)
		}
	})
}

func TestBucketCoversItsRange(t *testing.T) {
	for _, c := range []struct {
		hash        uint32
		total, want uint64
	}{
		{0, 100, 0}, {1 << 31, 100, 50}, {1<<31 - 1, 100, 49}, {1<<32 - 1, 100, 99}, {1<<32 - 1, everyone, everyone - 1}, {1<<32 - 1, 1, 0},
	} {
		if got := bucket(c.hash, c.total); got != c.want {
			t.Errorf("bucket(%d, %d) = %d, want %d", c.hash, c.total, got, c.want)
		}
	}
}
