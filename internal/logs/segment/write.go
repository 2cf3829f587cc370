package segment

import (
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/logs"
)

// commit writes what several brought as one. Called with writing held.
func (s *Store) commit(all []*waiting) {
	err := s.write(all)
	if err != nil && errs.KindOf(err) == errs.Internal {
		s.Logger.Error("logs not written", "err", err)
		err = errs.Wrap(errs.Unavailable, err, "logs cannot be written just now")
	}
	s.mu.Lock()
	if err == nil {
		close(s.changed)
		s.changed = make(chan struct{})
	}
	if (err == nil) != (s.full == nil) {
		s.full = err
		if err != nil {
			s.Logger.Warn("logs are refused", "err", err)
		} else {
			s.Logger.Info("logs are taken again")
		}
	}
	s.full = err
	s.mu.Unlock()
	for _, w := range all {
		w.err = err
		close(w.done)
	}
}

func (s *Store) write(all []*waiting) error {
	room, err := s.Free(s.Dir)
	if err == nil && room < s.MinFree {
		return errs.E(errs.Unavailable, "the disk of the logs has %d MB left; at least %d MB stay free", room>>20, s.MinFree>>20)
	}
	if err := s.youngest(); err != nil {
		return err
	}
	s.mu.Lock()
	f, seq := s.files[len(s.files)-1], s.seq
	positions := map[string]int64{}
	for _, w := range all {
		positions[w.batch.Stream] = s.positions[w.batch.Stream]
	}
	s.mu.Unlock()
	out := s.bytes[:0]
	var sizes []int
	var loose []logs.Entry // of batches without a stream: one frame for all
	for _, w := range all {
		b := w.batch
		if b.Stream != "" {
			if b.From < positions[b.Stream] || b.To <= positions[b.Stream] || len(b.Entries) == 0 {
				continue // taken before; Position says how far
			}
			positions[b.Stream] = b.To
		}
		for i := range b.Entries {
			seq++
			b.Entries[i].Seq = seq
		}
		if b.Stream == "" {
			loose = append(loose, b.Entries...)
			continue
		}
		before := len(out)
		out = encode(out, b.Entries, b.Stream, b.To)
		sizes = append(sizes, len(out)-before)
	}
	for part := range slices.Chunk(loose, logs.MaxBatch) {
		before := len(out)
		out = encode(out, part, "", 0)
		sizes = append(sizes, len(out)-before)
	}
	s.bytes = out
	if cap(s.bytes) > 8<<20 {
		s.bytes = nil
	}
	if len(out) == 0 {
		return nil // all of it was taken before
	}
	if err := s.makeRoom(int64(len(out))); err != nil {
		return err
	}
	if err := put(f, out); err != nil {
		return err
	}
	return s.taken(f, out, sizes, seq, positions)
}

// put writes at the end and flushes. What failed is taken back, and when even that fails the end is still where it was: the
// next write is put over it.
func put(f *file, b []byte) error {
	_, err := f.f.WriteAt(b, f.size)
	if err == nil {
		err = f.f.Sync()
	}
	if err == nil {
		return nil
	}
	_ = f.f.Truncate(f.size)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, io.ErrShortWrite) {
		return errs.Wrap(errs.Unavailable, err, "the disk of the logs is full")
	}
	return err
}

// taken makes what was written known to readers.
func (s *Store) taken(f *file, out []byte, sizes []int, seq uint64, positions map[string]int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range sizes {
		h, body, err := parseHeader(out[frameHead:n])
		if err != nil {
			return err
		}
		h.size, h.body = int64(n), int64(frameHead+body)
		f.add(h)
		out = out[n:]
	}
	s.seq = seq
	for k, v := range positions {
		if k != "" {
			s.positions[k] = v
		}
	}
	return nil
}

// youngest begins another file when the one that is written to has grown or is old.
func (s *Store) youngest() error {
	s.mu.Lock()
	var f *file
	next := uint64(1)
	if len(s.files) > 0 {
		next = s.files[len(s.files)-1].n + 1
		if f = s.files[len(s.files)-1]; f.sealed {
			f = nil
		}
	}
	old := f != nil && len(f.headers) > 1 && (f.size >= s.SealBytes || s.Now().Sub(s.begun) >= s.SealAge)
	s.mu.Unlock()
	if f != nil && !old {
		return nil
	}
	if err := s.fresh(next); err != nil {
		return err
	}
	if f != nil {
		s.seal(f)
	}
	return nil
}

// seal rewrites a file in the background, by service. When that fails it stays as it is, which is as good but larger.
func (s *Store) seal(f *file) {
	f.holds.Add(1)
	s.sealing.Go(func() {
		defer f.release()
		if err := s.rewrite(f); err != nil {
			s.Logger.Warn("a file of logs stays as it is", "file", f.path, "err", err)
			_ = os.Remove(sealedPath(f.path) + ".tmp")
		}
	})
}

func sealedPath(path string) string { return strings.TrimSuffix(path, ".log") + ".seg" }

func (s *Store) rewrite(f *file) error {
	if room, err := s.Free(s.Dir); err == nil && room < s.MinFree+f.size {
		return errs.E(errs.Unavailable, "the disk has no room to rewrite it")
	}
	var all []logs.Entry
	s.mu.Lock()
	headers := slices.Clone(f.headers)
	s.mu.Unlock()
	positions := map[string]int64{}
	for i := range headers {
		h := &headers[i]
		for k, v := range h.positions {
			positions[k] = max(positions[k], v)
		}
		if h.stream != "" {
			positions[h.stream] = max(positions[h.stream], h.to)
		}
		if h.count == 0 {
			continue
		}
		body, err := f.read(h)
		if err == nil {
			err = decode(h, body, nil, func(e *logs.Entry) bool { all = append(all, keep(e)); return true })
		}
		if err != nil {
			return err
		}
	}
	slices.SortFunc(all, func(a, b logs.Entry) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), a.Time.Compare(b.Time), cmp.Compare(a.Seq, b.Seq))
	})
	path := sealedPath(f.path)
	if err := writeSealed(path, positions, all); err != nil {
		return err
	}
	made, err := openFile(f.n, path, true)
	if err != nil {
		return err
	}
	s.mu.Lock()
	i := slices.Index(s.files, f)
	if i >= 0 {
		s.files = slices.Clone(s.files)
		s.files[i] = made
	}
	s.mu.Unlock()
	if i < 0 { // it was the oldest, and has gone meanwhile
		made.release()
		return os.Remove(path)
	}
	f.release()
	return os.Remove(f.path)
}

func writeSealed(path string, positions map[string]int64, all []logs.Entry) (err error) {
	out, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := out.Write(positionsFrame(positions)); err != nil {
		return err
	}
	for len(all) > 0 {
		n, size := 0, 0
		for n < len(all) && size < bodySize && all[n].Service == all[0].Service {
			size += len(all[n].Text) + 16
			n++
		}
		if _, err := out.Write(encode(nil, all[:n], "", 0)); err != nil {
			return err
		}
		all = all[n:]
	}
	if err := out.Sync(); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// makeRoom drops the oldest files until n more bytes fit the limit. Called with writing held.
func (s *Store) makeRoom(n int64) error {
	for {
		s.mu.Lock()
		total := n
		for _, f := range s.files {
			total += f.size
		}
		if total <= s.MaxBytes || len(s.files) < 2 {
			s.mu.Unlock()
			if total > s.MaxBytes {
				return errs.E(errs.Unavailable, "the limit of the logs is smaller than what comes at once")
			}
			return nil
		}
		f := s.forget()
		s.mu.Unlock()
		s.remove(f, "the logs are at their limit of bytes")
	}
}

// forget takes the oldest file off the list. Called with mu held.
func (s *Store) forget() *file {
	f := s.files[0]
	s.files = slices.Clone(s.files[1:])
	return f
}

func (s *Store) remove(f *file, why string) {
	s.Logger.Info("the oldest logs go", "why", why, "file", filepath.Base(f.path), "until", time.Unix(0, f.last).UTC())
	_ = os.Remove(f.path)
	f.release()
}

// Sweep removes what is older than the retention, and has a file that is old rewritten.
func (s *Store) Sweep() {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.youngest(); err != nil {
		s.Logger.Warn("logs cannot be written", "err", err)
	}
	limit := s.Now().Add(-s.Retention).UnixNano()
	for {
		s.mu.Lock()
		if s.closed || len(s.files) < 2 || s.files[0].last >= limit {
			s.mu.Unlock()
			return
		}
		f := s.forget()
		s.mu.Unlock()
		s.remove(f, "they are older than is kept")
	}
}
