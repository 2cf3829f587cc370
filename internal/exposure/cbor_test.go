package exposure

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Every 16-bit float that is a number is found again, and nothing else is.
func TestFloat16(t *testing.T) {
	whole := map[uint32]uint16{}
	for h := range uint32(1 << 16) {
		if exponent := h >> 10 & 31; exponent != 31 {
			whole[math.Float32bits(half(uint16(h)))] = uint16(h)
		}
	}
	if len(whole) != 63488 {
		t.Fatalf("%d numbers", len(whole))
	}
	for bits, want := range whole {
		if got, ok := float16(math.Float32frombits(bits)); !ok || got != want {
			t.Fatalf("%v: got %#x %v, want %#x", math.Float32frombits(bits), got, ok, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.Float32().Draw(t, "f")
		want, fits := whole[math.Float32bits(f)]
		if got, ok := float16(f); ok != fits || ok && got != want {
			t.Fatalf("%v: got %#x %v, want %#x %v", f, got, ok, want, fits)
		}
	})
}

// half is what 16 bits mean.
func half(h uint16) float32 {
	sign, exponent, fraction := 1.0, int(h>>10&31), float64(h&0x3ff)
	if h&0x8000 != 0 {
		sign = math.Copysign(1, -1)
	}
	if exponent == 0 {
		return float32(sign * math.Ldexp(fraction, -24))
	}
	return float32(sign * math.Ldexp(1024+fraction, exponent-25))
}

// Bytes one by one hash as the text that they are.
func TestHashOfBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, b := rapid.String().Draw(t, "before"), rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "bytes")
		v := uint64(0)
		for _, x := range b {
			v = v<<8 | uint64(x)
		}
		if got, want := (hash32{}).add(before).addBytes(v, 8).add("x").sum(), (hash32{}).add(before+string(b)+"x").sum(); got != want {
			t.Fatalf("got %#x, want %#x", got, want)
		}
	})
}

// A share in V3 costs no allocation either.
func TestV3Allocates(t *testing.T) {
	for _, rule := range []string{`{"fractional": [["a", 1], ["b", 1]]}`, `{"fractional": [{"var": "n"}, ["a", 1], ["b", 1]]}`} {
		r, err := CompileRule([]byte(rule), Options{FlagKey: "flag", Bucketing: V3})
		if err != nil {
			t.Fatal(err)
		}
		ctx := &Context{TargetingKey: "5c3d8535-f81a-4478-a6d3-afaa4d51199e", Attributes: map[string]any{"n": 1.5}}
		if n := testing.AllocsPerRun(100, func() { r.Eval(ctx) }); n != 0 {
			t.Errorf("%s: %v allocations", rule, n)
		}
	}
}
