package segment

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/logs"
)

// part is a frame to look into.
type part struct {
	f *file
	h *header
}

// parts are the frames that may hold what is meant; done gives their files back.
func (s *Store) parts(m *logs.Matcher, after uint64) (all []part, last uint64, done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	files := s.files
	for _, f := range files {
		f.holds.Add(1)
		for i := range f.headers {
			if h := &f.headers[i]; h.maxSeq > after && h.may(m) {
				all = append(all, part{f, h})
			}
		}
	}
	return all, s.seq, func() {
		for _, f := range files {
			f.release()
		}
	}
}

func (p part) each(m *logs.Matcher, f func(*logs.Entry) bool) error {
	body, err := p.f.read(p.h)
	if err != nil {
		return err
	}
	return decode(p.h, body, m, f)
}

// late says whether an answer took too long, which is no failure: it is partial.
func late(ctx context.Context) (partial bool, err error) {
	if err = ctx.Err(); errors.Is(err, context.DeadlineExceeded) {
		return true, nil
	}
	return false, err
}

// patience is how long a question waits for others.
const patience = 2 * time.Second

// enter waits until there is room for one more question: reading takes the processor, which alerts and verdicts need as well.
func (s *Store) enter(ctx context.Context) (leave func(), err error) {
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case s.asking <- struct{}{}:
		return func() { <-s.asking }, nil
	case <-t.C:
	case <-ctx.Done():
	}
	return nil, errs.E(errs.Unavailable, "%d questions about logs are being answered already", s.AtOnce).Next("Ask again in a moment, or about less.")
}

// Find answers a question. Until ctx's deadline it reads; then the answer is partial.
func (s *Store) Find(ctx context.Context, q logs.Query) (logs.Page, error) {
	m, err := q.Compile()
	if err != nil {
		return logs.Page{}, err
	}
	if q.Limit <= 0 {
		q.Limit = 100
	}
	q.Limit = min(q.Limit, logs.MaxLimit)
	if q.After > 0 || q.Tail {
		return s.later(ctx, q, m) // which reads what is new alone
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return logs.Page{}, err
	}
	defer leave()
	if !q.Before.IsZero() { // that moment itself may hold older ones
		if end := q.Before.Time.Add(1); m.To.IsZero() || end.Before(m.To) {
			m.To = end
		}
	}
	if now := s.Now().Add(-s.Retention); m.From.Before(now) {
		m.From = now
	}
	all, last, done := s.parts(m, 0)
	defer done()
	slices.SortFunc(all, func(a, b part) int { return cmp.Compare(b.h.last, a.h.last) })
	page := logs.Page{Last: last}
	top := newest{limit: q.Limit + 1}
	for _, p := range all {
		if floor, full := top.floor(); full && p.h.last < floor.Time.UnixNano() {
			break
		}
		if partial, err := late(ctx); partial || err != nil {
			page.Partial = partial
			if err != nil {
				return page, err
			}
			break
		}
		err := p.each(m, func(e *logs.Entry) bool {
			if q.Before.IsZero() || e.At().Before(q.Before) {
				top.add(e)
			}
			return true
		})
		if err != nil {
			s.Logger.Warn("a part of the logs cannot be read", "err", err)
			page.Partial = true
		}
	}
	page.Entries = top.sorted()
	if len(page.Entries) > q.Limit {
		page.Entries = page.Entries[:q.Limit]
		page.Next = page.Entries[q.Limit-1].At()
	}
	return page, nil
}

// later answers with what came after an entry, the oldest first.
func (s *Store) later(ctx context.Context, q logs.Query, m *logs.Matcher) (logs.Page, error) {
	all, last, done := s.parts(m, q.After)
	defer done()
	page := logs.Page{Last: last}
	slices.SortFunc(all, func(a, b part) int { return cmp.Compare(a.h.minSeq, b.h.minSeq) })
	for _, p := range all {
		if len(page.Entries) >= q.Limit && p.h.minSeq > page.Entries[len(page.Entries)-1].Seq {
			break
		}
		if err := ctx.Err(); err != nil {
			return page, err
		}
		err := p.each(m, func(e *logs.Entry) bool {
			if e.Seq > q.After {
				page.Entries = append(page.Entries, keep(e))
			}
			return true
		})
		if err != nil {
			s.Logger.Warn("a part of the logs cannot be read", "err", err)
			page.Partial = true
		}
		slices.SortFunc(page.Entries, func(a, b logs.Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	}
	if len(page.Entries) > q.Limit {
		page.Entries = page.Entries[:q.Limit]
	}
	if n := len(page.Entries); n == q.Limit {
		page.Last = page.Entries[n-1].Seq
	}
	return page, nil
}

// Count counts what is meant, by labels and time.
func (s *Store) Count(ctx context.Context, q logs.CountQuery) (logs.Counts, error) {
	m, err := q.Compile()
	if err != nil {
		return logs.Counts{}, err
	}
	if err := logs.CheckBy(q.By); err != nil {
		return logs.Counts{}, err
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return logs.Counts{}, err
	}
	defer leave()
	all, _, done := s.parts(m, 0)
	defer done()
	slices.SortFunc(all, func(a, b part) int { return cmp.Compare(b.h.last, a.h.last) })
	tally := logs.NewTally(q)
	var out logs.Counts
	for _, p := range all {
		if partial, err := late(ctx); partial || err != nil {
			out.Partial = partial
			if err != nil {
				return out, err
			}
			break
		}
		if err := p.each(m, func(e *logs.Entry) bool { tally.Add(e); return true }); err != nil {
			s.Logger.Warn("a part of the logs cannot be read", "err", err)
			out.Partial = true
		}
	}
	out.All = tally.Counts()
	return out, nil
}

// newest keeps the newest entries of those it is given.
type newest struct {
	limit int
	all   []logs.Entry
	cut   logs.Cursor // of those that were dropped none is newer
}

func (n *newest) add(e *logs.Entry) {
	if !n.cut.IsZero() && e.At().Before(n.cut) {
		return
	}
	n.all = append(n.all, keep(e))
	if len(n.all) >= 4*n.limit+64 {
		n.shrink()
	}
}

func (n *newest) shrink() {
	slices.SortFunc(n.all, func(a, b logs.Entry) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.Seq, a.Seq))
	})
	if len(n.all) >= n.limit {
		clear(n.all[n.limit:])
		n.all = n.all[:n.limit]
		n.cut = n.all[n.limit-1].At()
	}
}

// floor is the oldest of them, once there are enough.
func (n *newest) floor() (logs.Cursor, bool) {
	if len(n.all) < n.limit {
		return logs.Cursor{}, false
	}
	n.shrink()
	return n.cut, true
}

func (n *newest) sorted() []logs.Entry {
	n.shrink()
	return n.all
}

// Labels are the different values that a label has in a time, from the headers alone.
func (s *Store) Labels(from time.Time, service string) []logs.Labels {
	m := &logs.Matcher{Filter: logs.Filter{From: from}}
	if service != "" {
		m.Service = []string{service}
	}
	all, _, done := s.parts(m, 0)
	defer done()
	seen := map[logs.Labels]bool{}
	for _, p := range all {
		for _, l := range p.h.labels {
			if m.MatchLabels(&l) {
				seen[l] = true
			}
		}
	}
	out := make([]logs.Labels, 0, len(seen))
	for l := range seen {
		out = append(out, l)
	}
	return out
}
