package segment

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync/atomic"
)

// file is one file of frames. Whoever reads holds it; it is closed when nobody does.
type file struct {
	n       uint64
	path    string
	f       *os.File
	size    int64
	sealed  bool
	headers []header
	last    int64 // newest time in it
	holds   atomic.Int32
}

func (s *file) release() {
	if s.holds.Add(-1) == 0 {
		_ = s.f.Close()
	}
}

// openFile reads the headers of a file's frames. What follows the last whole frame is cut off a file that was being written.
func openFile(n uint64, path string, sealed bool) (*file, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	s := &file{n: n, path: path, f: f, sealed: sealed}
	s.holds.Store(1)
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	for s.size < end {
		h, err := s.readHeader(end)
		if err != nil {
			break
		}
		s.add(h)
	}
	if s.size < end && !sealed {
		if err := f.Truncate(s.size); err != nil {
			return nil, fmt.Errorf("cut off what was half written: %w", err)
		}
	}
	return s, nil
}

func (s *file) add(h header) {
	h.at = s.size
	s.size += h.size
	if h.count > 0 {
		s.last = max(s.last, h.last)
	}
	s.headers = append(s.headers, h)
}

// readHeader reads the frame that begins at the size so far; of a file that was being written, also whether it is whole.
func (s *file) readHeader(end int64) (header, error) {
	head := make([]byte, min(4<<10, end-s.size))
	if _, err := s.f.ReadAt(head, s.size); err != nil || len(head) < frameHead {
		return header{}, errFrame
	}
	n := int64(binary.LittleEndian.Uint32(head))
	if n > maxFrame || s.size+frameHead+n > end {
		return header{}, errFrame
	}
	content := head[frameHead:min(int64(len(head)), frameHead+n)]
	if hl, k := binary.Uvarint(content); !s.sealed || k <= 0 || int64(hl)+int64(k) > int64(len(content)) {
		content = make([]byte, n)
		if _, err := s.f.ReadAt(content, s.size+frameHead); err != nil {
			return header{}, err
		}
		if !s.sealed && crc32.Checksum(content, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
			return header{}, errFrame
		}
	}
	h, body, err := parseHeader(content)
	h.size, h.body = frameHead+n, int64(frameHead+body)
	return h, err
}

// read returns the body of a frame.
func (s *file) read(h *header) ([]byte, error) {
	b := make([]byte, h.size)
	if _, err := s.f.ReadAt(b, h.at); err != nil {
		return nil, err
	}
	if crc32.Checksum(b[frameHead:], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, fmt.Errorf("%w: %s at %d: the checksum is wrong", errFrame, s.path, h.at)
	}
	return b[h.body:], nil
}
