package exposure

import "math/bits"

// hash32 is MurmurHash3 for x86, 32 bits, seed 0, taken piece by piece: the hash of "ab" after "cd" is the hash
// of "abcd". It is a value, so that what comes first (a salt) is hashed once and carried on from for each key.
type hash32 struct {
	h    uint32
	tail uint32 // bytes that make no whole block yet
	n    uint32 // length so far
}

func (m hash32) add(s string) hash32 {
	h, tail, shift := m.h, m.tail, 8*(m.n&3)
	m.n += uint32(len(s))
	for len(s) >= 4 {
		k := uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
		h = mix(h, tail|k<<shift)
		tail = k >> (32 - shift) // 0 when nothing was left over: a shift by 32
		s = s[4:]
	}
	for len(s) > 0 {
		tail |= uint32(s[0]) << shift
		s = s[1:]
		if shift += 8; shift == 32 {
			h, tail, shift = mix(h, tail), 0, 0
		}
	}
	m.h, m.tail = h, tail
	return m
}

func mix(h, k uint32) uint32 {
	return bits.RotateLeft32(h^scramble(k), 13)*5 + 0xe6546b64
}

func scramble(k uint32) uint32 {
	return bits.RotateLeft32(k*0xcc9e2d51, 15) * 0x1b873593
}

func (m hash32) sum() uint32 {
	h := m.h ^ scramble(m.tail) ^ m.n // scramble(0) is 0
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	return h ^ h>>16
}

// bucket maps a hash to 0 … total-1 evenly, as flagd does since its version 2 of bucketing.
func bucket(hash uint32, total uint64) uint64 { return uint64(hash) * total >> 32 }

func (m hash32) addByte(b byte) hash32 {
	m.tail |= uint32(b) << (8 * (m.n & 3))
	if m.n++; m.n&3 == 0 {
		m.h, m.tail = mix(m.h, m.tail), 0
	}
	return m
}

// addBytes adds the lowest bytes of v, the highest of them first.
func (m hash32) addBytes(v uint64, count int) hash32 {
	for i := count - 1; i >= 0; i-- {
		m = m.addByte(byte(v >> (8 * i)))
	}
	return m
}
