package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/klauspost/compress/zstd"

	"github.com/ringfence/ringfence/internal/logs"
)

const (
	frameHead = 8        // length and checksum
	maxFrame  = 64 << 20 // a longer one is no frame
	bodySize  = 256 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	encoder, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithEncoderCRC(false))
	decoder, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(4), zstd.WithDecoderMaxMemory(maxFrame))
	errFrame   = errors.New("not a frame")
)

// header is what is known of a frame without its body.
type header struct {
	at, size       int64 // in the file, of the whole frame
	body           int64 // offset of the body
	count          int
	first, last    int64 // times, Unix nanoseconds
	minSeq, maxSeq uint64
	severity       logs.Severity // the most severe
	labels         []logs.Labels
	stream         string
	to             int64
	positions      map[string]int64 // of a frame that holds nothing else
}

func (h *header) may(m *logs.Matcher) bool {
	if h.count == 0 || h.severity < m.Severity || !m.Span(time.Unix(0, h.first), time.Unix(0, h.last)) {
		return false
	}
	for i := range h.labels {
		if m.MatchLabels(&h.labels[i]) {
			return true
		}
	}
	return false
}

// writer puts together numbers and texts.
type writer struct{ b []byte }

func (w *writer) num(n uint64) { w.b = binary.AppendUvarint(w.b, n) }
func (w *writer) int(n int64)  { w.b = binary.AppendVarint(w.b, n) }
func (w *writer) text(s string) {
	w.num(uint64(len(s)))
	w.b = append(w.b, s...)
}

// reader takes them apart without copying; what is cut short makes it bad.
type reader struct {
	b   string
	bad bool
}

func (r *reader) num() uint64 {
	n, shift := uint64(0), 0
	for i := 0; i < len(r.b) && i < binary.MaxVarintLen64; i++ {
		c := r.b[i]
		n |= uint64(c&0x7f) << shift
		if shift += 7; c < 0x80 {
			r.b = r.b[i+1:]
			return n
		}
	}
	r.bad, r.b = true, ""
	return 0
}

func (r *reader) int() int64 {
	n := r.num()
	return int64(n>>1) ^ -int64(n&1)
}

func (r *reader) text() string {
	n := r.num()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, ""
		return ""
	}
	s := r.b[:n]
	r.b = r.b[n:]
	return s
}

// encode makes a frame of entries, which are in the order they are to be kept in.
func encode(out []byte, entries []logs.Entry, stream string, to int64) []byte {
	h := header{count: len(entries), stream: stream, to: to}
	index := map[logs.Labels]int{}
	var body writer
	var before logs.Entry
	for i := range entries {
		e := &entries[i]
		nanos := e.Time.UnixNano()
		if i == 0 {
			h.first, h.last, h.minSeq, h.maxSeq = nanos, nanos, e.Seq, e.Seq
			before.Time = time.Unix(0, 0)
		}
		h.first, h.last = min(h.first, nanos), max(h.last, nanos)
		h.minSeq, h.maxSeq, h.severity = min(h.minSeq, e.Seq), max(h.maxSeq, e.Seq), max(h.severity, e.Severity)
		at, ok := index[e.Labels]
		if !ok {
			at = len(h.labels)
			index[e.Labels], h.labels = at, append(h.labels, e.Labels)
		}
		body.entry(e, at, &before)
		before = *e
	}
	var head writer
	head.num(uint64(h.count))
	head.int(h.first)
	head.int(h.last)
	head.num(h.minSeq)
	head.num(h.maxSeq)
	head.num(uint64(h.severity))
	head.num(uint64(len(h.labels)))
	for _, l := range h.labels {
		for _, s := range []string{l.Service, l.Version, l.Ring, l.Unit, l.Instance, l.Source} {
			head.text(s)
		}
	}
	head.text(stream)
	head.int(to)
	head.num(0)
	return seal(out, head.b, encoder.EncodeAll(body.b, nil))
}

// positionsFrame keeps how far streams were taken when the files that said so may go.
func positionsFrame(positions map[string]int64) []byte {
	var head writer
	for range 6 {
		head.b = append(head.b, 0)
	}
	head.num(0)
	head.text("")
	head.int(0)
	head.num(uint64(len(positions)))
	for _, k := range slices.Sorted(maps.Keys(positions)) {
		head.text(k)
		head.int(positions[k])
	}
	return seal(nil, head.b, nil)
}

func seal(out, head, body []byte) []byte {
	var n [binary.MaxVarintLen64]byte
	k := binary.PutUvarint(n[:], uint64(len(head)))
	at := len(out)
	out = append(out, make([]byte, frameHead)...)
	out = append(append(append(out, n[:k]...), head...), body...)
	binary.LittleEndian.PutUint32(out[at:], uint32(len(out)-at-frameHead))
	binary.LittleEndian.PutUint32(out[at+4:], crc32.Checksum(out[at+frameHead:], castagnoli))
	return out
}

// entry is written so that one with labels that are not meant can be skipped.
func (w *writer) entry(e *logs.Entry, labels int, before *logs.Entry) {
	var r writer
	r.int(e.Time.UnixNano() - before.Time.UnixNano())
	r.int(int64(e.Seq - before.Seq))
	r.b = append(r.b, byte(e.Severity))
	r.text(e.Text)
	r.text(e.Trace)
	r.text(e.Span)
	r.num(uint64(len(e.Attributes)))
	for _, k := range slices.Sorted(maps.Keys(e.Attributes)) {
		r.text(k)
		r.text(e.Attributes[k])
	}
	w.num(uint64(labels))
	w.num(uint64(len(r.b)))
	w.b = append(w.b, r.b...)
}

// parseHeader reads the header of a frame's content; body is where it ends.
func parseHeader(content []byte) (header, int, error) {
	r := &reader{b: string(content)}
	b := r.text()
	if r.bad {
		return header{}, 0, errFrame
	}
	body := len(content) - len(r.b)
	r = &reader{b: b}
	h := header{count: int(r.num()), first: r.int(), last: r.int(), minSeq: r.num(), maxSeq: r.num(), severity: logs.Severity(r.num())}
	for n := r.num(); n > 0 && !r.bad; n-- {
		h.labels = append(h.labels, logs.Labels{Service: r.text(), Version: r.text(), Ring: r.text(), Unit: r.text(), Instance: r.text(), Source: r.text()})
	}
	h.stream, h.to = r.text(), r.int()
	for n := r.num(); n > 0 && !r.bad; n-- {
		if h.positions == nil {
			h.positions = map[string]int64{}
		}
		k := r.text()
		h.positions[k] = r.int()
	}
	if r.bad {
		return header{}, 0, errFrame
	}
	return h, body, nil
}

// decode hands those entries to f that m means, until f says no. The entry and its texts are f's only during the call; keep copies them.
func decode(h *header, body []byte, m *logs.Matcher, f func(*logs.Entry) bool) error {
	b, err := decoder.DecodeAll(body, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errFrame, err)
	}
	raw := unsafe.String(unsafe.SliceData(b), len(b)) // nobody writes to it any more
	if m != nil && !m.May(raw) {
		return nil
	}
	meant := make([]bool, len(h.labels))
	for i := range h.labels {
		meant[i] = m == nil || m.MatchLabels(&h.labels[i])
	}
	r := &reader{b: raw}
	nanos, seq := int64(0), uint64(0)
	for range h.count {
		at := r.num()
		one := reader{b: r.text()}
		nanos += one.int()
		seq += uint64(one.int())
		if r.bad || one.bad || at >= uint64(len(h.labels)) || len(one.b) == 0 {
			return errFrame
		}
		e := logs.Entry{Time: time.Unix(0, nanos).UTC(), Seq: seq, Severity: logs.Severity(one.b[0]), Labels: h.labels[at]}
		one.b = one.b[1:]
		if !meant[at] || m != nil && (e.Severity < m.Severity || !m.From.IsZero() && e.Time.Before(m.From) || !m.To.IsZero() && !e.Time.Before(m.To)) {
			continue
		}
		e.Text, e.Trace, e.Span = one.text(), one.text(), one.text()
		if n := one.num(); n > 0 {
			e.Attributes = make(map[string]string, min(n, logs.MaxAttributes))
			for ; n > 0 && !one.bad; n-- {
				k := one.text()
				e.Attributes[k] = one.text()
			}
		}
		if one.bad {
			return errFrame
		}
		if (m == nil || m.MatchRest(&e)) && !f(&e) {
			return nil
		}
	}
	return nil
}

// keep is an entry that outlives the frame it was read from.
func keep(e *logs.Entry) logs.Entry {
	k := *e
	k.Text, k.Trace, k.Span = strings.Clone(e.Text), strings.Clone(e.Trace), strings.Clone(e.Span)
	if e.Attributes != nil {
		k.Attributes = make(map[string]string, len(e.Attributes))
		for name, v := range e.Attributes {
			k.Attributes[strings.Clone(name)] = strings.Clone(v)
		}
	}
	return k
}
