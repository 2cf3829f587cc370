package exposure

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
)

// The major types of CBOR (RFC 8949) that values have.
const (
	cborUnsigned = 0 << 5
	cborNegative = 1 << 5
	cborText     = 3 << 5
	cborList     = 4 << 5
	cborMap      = 5 << 5
	cborFalse    = 0xf4
	cborTrue     = 0xf5
	cborNull     = 0xf6
	cborFloat16  = 0xf9
	cborFloat32  = 0xfa
	cborFloat64  = 0xfb
)

// addCBOR adds the deterministic encoding of v: the shortest form of each number, whole numbers as integers, the keys of
// objects in the order of their encodings.
func (m hash32) addCBOR(v Value) hash32 {
	switch v.kind {
	case Bool:
		if v.num != 0 {
			return m.addByte(cborTrue)
		}
		return m.addByte(cborFalse)
	case Number:
		return m.addCBORNumber(v.num)
	case String:
		return m.addCBORText(v.str)
	case List:
		n := v.length()
		m = m.addCBORHead(cborList, uint64(n))
		for i := range n {
			m = m.addCBOR(v.at(i))
		}
		return m
	case Object:
		return m.addCBORMap(v.ref.(map[string]any))
	}
	return m.addByte(cborNull)
}

func (m hash32) addCBORText(s string) hash32 {
	return m.addCBORHead(cborText, uint64(len(s))).add(s)
}

// addCBORHead adds a type and its argument in as few bytes as it takes.
func (m hash32) addCBORHead(major byte, n uint64) hash32 {
	switch {
	case n < 24:
		return m.addByte(major | byte(n))
	case n <= math.MaxUint8:
		return m.addByte(major|24).addBytes(n, 1)
	case n <= math.MaxUint16:
		return m.addByte(major|25).addBytes(n, 2)
	case n <= math.MaxUint32:
		return m.addByte(major|26).addBytes(n, 4)
	}
	return m.addByte(major|27).addBytes(n, 8)
}

func (m hash32) addCBORNumber(f float64) hash32 {
	const unsigned, negative = 1 << 64, -1 << 63 // beyond them a whole number stays a float
	switch {
	case f != math.Trunc(f):
	case f >= 0 && f < unsigned:
		return m.addCBORHead(cborUnsigned, uint64(f))
	case f < 0 && f >= negative:
		return m.addCBORHead(cborNegative, uint64(-1-int64(f)))
	}
	if float64(float32(f)) != f {
		return m.addByte(cborFloat64).addBytes(math.Float64bits(f), 8)
	}
	if half, ok := float16(float32(f)); ok {
		return m.addByte(cborFloat16).addBytes(uint64(half), 2)
	}
	return m.addByte(cborFloat32).addBytes(uint64(math.Float32bits(float32(f))), 4)
}

// float16 is f in 16 bits, if it fits without loss.
func float16(f float32) (uint16, bool) {
	bits := math.Float32bits(f)
	sign, exponent, fraction := uint16(bits>>16&0x8000), int(bits>>23&0xff)-127, bits&0x7fffff
	switch {
	case exponent > 15: // too large; infinities do not come here
		return 0, false
	case exponent >= -14:
		return sign | uint16(exponent+15)<<10 | uint16(fraction>>13), fraction&0x1fff == 0
	case exponent >= -24: // the numbers near 0 that have fewer digits
		shift := -exponent - 1
		fraction |= 0x800000
		return sign | uint16(fraction>>shift), fraction&(1<<shift-1) == 0
	}
	return sign, bits&0x7fffffff == 0
}

func (m hash32) addCBORMap(obj map[string]any) hash32 {
	keys := slices.SortedFunc(maps.Keys(obj), func(a, b string) int { // as their encodings, which begin with the length
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	})
	m = m.addCBORHead(cborMap, uint64(len(keys)))
	for _, k := range keys {
		m = m.addCBORText(k).addCBOR(valueOf(obj[k]))
	}
	return m
}
