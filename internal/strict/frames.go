package strict

import (
	"encoding/binary"
	"time"
)

// The types of HTTP/2's frames that matter here.
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameReset        = 0x3
	frameSettings     = 0x4
	frameWindow       = 0x8
	frameContinuation = 0x9

	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// Preface is what an HTTP/2 connection of a client begins with.
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// The codes of HTTP/2's errors that are used here.
const (
	CodeProtocol = 0x1
	CodeCalm     = 0xb // ENHANCE_YOUR_CALM
)

// maxSettings is the largest SETTINGS frame that is looked at as a whole.
const maxSettings = 6 * 100

// Flood is why an HTTP/2 connection is ended.
type Flood struct {
	Reason string
	Code   uint32
}

func (f *Flood) Error() string { return "HTTP/2: " + f.Reason }

func flood(reason string) *Flood { return &Flood{reason, CodeCalm} }

var (
	noPreface     = &Flood{"preface", CodeProtocol}
	floodReset    = flood("reset_flood")
	floodControl  = flood("control_flood")
	floodEmpty    = flood("empty_frames")
	floodWindow   = flood("window_flood")
	floodContinue = flood("continuation_flood")
	floodHeader   = flood("header_too_large")
	floodSettings = flood("settings_too_large")
)

// Block takes the pieces of header blocks as they come; end says that a block is whole.
type Block func(p []byte, end bool) error

// Frames follows what a client sends on one HTTP/2 connection, from its preface on. It bounds what costs a server much and a client little:
// streams that are opened and reset, control frames, empty frames, headers without an end.
type Frames struct {
	Head  int   // the largest header list, in bytes
	Block Block // nil: nobody looks at header blocks

	preface int // bytes of it that came
	head    [9]byte
	have    int // bytes of a frame's head
	left    int // bytes of the frame's payload that are still to come
	kind    byte
	flags   byte
	stream  uint32

	skip, prefix, pad int // of a HEADERS frame: bytes before the fragment, whether the first of them is the padding's length, padding
	block             int // bytes of the header block so far
	pieces            int // CONTINUATION frames of it
	err               error

	resets, control, empty, windows bucket
}

// bucket has tokens that come back with time and with honest work.
type bucket struct {
	spent float64
	at    time.Time
}

func (b *bucket) take(now time.Time, burst, perSecond float64) bool {
	if !b.at.IsZero() {
		b.spent = max(0, b.spent-perSecond*now.Sub(b.at).Seconds())
	}
	b.at = now
	b.spent++
	return b.spent <= burst
}

func (b *bucket) give(n float64) { b.spent = max(0, b.spent-n) }

// What a connection may do at once, and per second besides what its requests earn.
const (
	burstResets, resetsPerSecond   = 500, 50
	burstControl, controlPerSecond = 500, 50
	burstEmpty, emptyPerSecond     = 200, 20
	burstWindows, windowsPerSecond = 4000, 1000
	maxPieces                      = 64
)

// Answered is told of what the server sent: streams that it ended, and bytes.
func (f *Frames) Answered(streams, bytes int) {
	f.resets.give(float64(streams))
	f.windows.give(float64(bytes) / 512)
	f.control.give(float64(streams) + float64(bytes)/2048)
}

// Fresh reports whether nothing has come yet.
func (f *Frames) Fresh() bool { return f.preface == 0 }

// Stream is that of the latest frame.
func (f *Frames) Stream() uint32 { return f.stream }

// Scan takes the next bytes and returns how many of them may be passed on now. Fewer than all without an error means that the rest is to come
// again, with more. It may change p: of settings that are given twice in one frame, all but the last become ones that no one knows.
func (f *Frames) Scan(p []byte, now time.Time) (int, error) {
	i := 0
	for i < len(p) && f.err == nil {
		switch {
		case f.preface < len(Preface):
			n := min(len(Preface)-f.preface, len(p)-i)
			if string(p[i:i+n]) != Preface[f.preface:f.preface+n] {
				f.err = noPreface
				break
			}
			f.preface += n
			i += n
		case f.have < len(f.head):
			n := copy(f.head[f.have:], p[i:])
			f.have += n
			i += n
			if f.have == len(f.head) {
				f.begin()
				f.err = f.judge(now)
			}
		case f.kind == frameSettings && f.flags&flagAck == 0 && f.left > 0 && f.left <= maxSettings:
			if len(p)-i < f.left {
				return i, nil
			}
			once(p[i : i+f.left])
			i += f.left
			f.left = 0
			f.finish()
		default:
			n := min(f.left, len(p)-i)
			if f.kind == frameHeaders || f.kind == frameContinuation {
				f.err = f.fragment(p[i : i+n])
			}
			i += n
			f.left -= n
			f.finish()
		}
	}
	return i, f.err
}

func (f *Frames) begin() {
	f.left = int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2])
	f.kind, f.flags = f.head[3], f.head[4]
	f.stream = binary.BigEndian.Uint32(f.head[5:]) & (1<<31 - 1)
}

// finish makes ready for the next frame when this one has ended.
func (f *Frames) finish() {
	if f.left == 0 {
		f.have = 0
	}
}

// judge counts a frame by its head.
func (f *Frames) judge(now time.Time) error {
	ok, why := true, error(nil)
	switch f.kind {
	case frameData:
		if f.left == 0 && f.flags&flagEndStream == 0 {
			ok, why = f.empty.take(now, burstEmpty, emptyPerSecond), floodEmpty
		} else {
			f.control.give(float64(f.left) / 2048)
		}
	case frameHeaders:
		f.block, f.pieces, f.skip, f.prefix, f.pad = 0, 0, 0, 0, 0
		if f.flags&flagPadded != 0 {
			f.prefix, f.skip = 1, 1
		}
		if f.flags&flagPriority != 0 {
			f.skip += 5
		}
		if f.flags&flagEndHeaders != 0 && f.left <= f.skip && f.Block != nil {
			f.Block = nil // an empty block, or a broken frame: the server's business, and its decoder's state is lost
		}
	case frameContinuation:
		if f.pieces++; f.pieces > maxPieces || f.left == 0 && f.flags&flagEndHeaders == 0 {
			return floodContinue
		}
		f.skip, f.prefix, f.pad = 0, 0, 0
		if f.left == 0 && f.Block != nil {
			return f.Block(nil, true)
		}
	case frameReset:
		ok, why = f.resets.take(now, burstResets, resetsPerSecond), floodReset
	case frameWindow:
		ok, why = f.windows.take(now, burstWindows, windowsPerSecond), floodWindow
	case frameSettings:
		if f.left > maxSettings {
			return floodSettings
		}
		ok, why = f.control.take(now, burstControl, controlPerSecond), floodControl
	default: // PRIORITY, PING, GOAWAY, and what nobody knows
		ok, why = f.control.take(now, burstControl, controlPerSecond), floodControl
	}
	f.finish()
	if ok {
		return nil
	}
	return why
}

// fragment takes a piece of the payload of HEADERS or CONTINUATION.
func (f *Frames) fragment(p []byte) error {
	rest := f.left - len(p) // of the frame, after p
	if f.skip > 0 && len(p) > 0 {
		if f.prefix == 1 {
			f.pad, f.prefix = int(p[0]), 0
		}
		n := min(f.skip, len(p))
		f.skip -= n
		p = p[n:]
	}
	if f.skip > 0 {
		return nil
	}
	padding := max(0, f.pad-rest) // of p
	if padding > len(p) {
		padding = len(p)
	}
	p = p[:len(p)-padding]
	if f.block += len(p); f.block > 2*f.Head {
		return floodHeader
	}
	if f.Block == nil {
		return nil
	}
	return f.Block(p, rest == 0 && f.flags&flagEndHeaders != 0)
}

// once makes of settings that come again later in the payload ones that no one knows.
func once(p []byte) {
	unknown := uint16(0xf100)
	for i := 0; i+6 <= len(p); i += 6 {
		id := binary.BigEndian.Uint16(p[i:])
		for j := i + 6; j+6 <= len(p); j += 6 {
			if binary.BigEndian.Uint16(p[j:]) == id {
				binary.BigEndian.PutUint16(p[i:], unknown)
				unknown++
				break
			}
		}
	}
}

// Boundaries follows what a server sends on an HTTP/2 connection, so that something can be put between two of its frames.
type Boundaries struct {
	head  [9]byte
	have  int
	left  int
	ended int
}

// At reports whether the next byte begins a frame.
func (b *Boundaries) At() bool { return b.have == 0 && b.left == 0 }

// Pass takes what is sent, up to the end of a frame if first is set, and returns how much that is.
func (b *Boundaries) Pass(p []byte, first bool) int {
	i := 0
	for i < len(p) {
		if b.left > 0 {
			n := min(b.left, len(p)-i)
			b.left -= n
			i += n
		} else {
			n := copy(b.head[b.have:], p[i:])
			b.have += n
			i += n
			if b.have < len(b.head) {
				return i
			}
			b.have = 0
			b.left = int(b.head[0])<<16 | int(b.head[1])<<8 | int(b.head[2])
			if b.head[3] <= frameHeaders && b.head[4]&flagEndStream != 0 {
				b.ended++
			}
		}
		if first && b.At() {
			return i
		}
	}
	return i
}

// Ended returns how many streams the server has ended since it was last asked.
func (b *Boundaries) Ended() int {
	n := b.ended
	b.ended = 0
	return n
}

// GoAway is a frame that tells the client to open no stream above last.
func GoAway(last, code uint32) []byte {
	b := make([]byte, 17)
	b[2], b[3] = 8, 0x7
	binary.BigEndian.PutUint32(b[9:], last&(1<<31-1))
	binary.BigEndian.PutUint32(b[13:], code)
	return b
}

// LastStream is the highest stream that a client can open.
const LastStream = 1<<31 - 1
