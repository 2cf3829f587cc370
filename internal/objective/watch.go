package objective

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"time"

	"github.com/ringfence/ringfence/internal/slo"
)

const (
	direct  = 12  // windows of up to so many slices are asked of the metrics as they are
	relook  = 6   // slices that are read again, for data that came late
	chunk   = 72  // slices that are read at once
	chunks  = 8   // of the past, in one step
	perPage = 288 // slices of a stored page
)

// watch is an objective that is watched, with what was counted for it.
type watch struct {
	objective *slo.Objective
	hash      string
	books     []*slo.Book // by part
	low, high int64       // slices of the books that were read: from low on, to before high
	dirty     map[int64]bool
	counts    map[time.Duration][]slo.Count // by window, of the last step
	head      []slo.Count                   // since the last slice
	readAt    time.Time
	failed    string // why it could not be read
	state     state
	begun     time.Time // when this process began to watch it
	rev       int64     // of the stored state
}

// hashOf tells whether what was counted for an objective is still what it asks for.
func hashOf(o *slo.Objective) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s", o.Slice())
	for _, p := range o.Parts {
		if o.Unmeasured == "" {
			bad, total := p.Queries(time.Hour)
			fmt.Fprintf(h, "\n%s\n%s", bad, total)
		}
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

func (w *watch) slice() time.Duration { return w.objective.Slice() }

// memory is how far back the books reach.
func (w *watch) memory(now time.Time) time.Time {
	from, _ := w.objective.Window.Bounds(now)
	for _, d := range w.objective.Windows() {
		if t := now.Add(-d); t.Before(from) {
			from = t
		}
	}
	return from
}

// read brings the books up to now and counts over every window.
func (w *watch) read(ctx context.Context, m Metrics, now time.Time, retention time.Duration) error {
	if w.objective.Unmeasured != "" {
		return nil
	}
	if err := w.fill(ctx, m, now, retention); err != nil {
		return err
	}
	end := w.end(now)
	head, err := w.sinceLast(ctx, m, end, now)
	if err != nil {
		return err
	}
	counts := map[time.Duration][]slo.Count{}
	for _, d := range w.objective.Windows() {
		if d <= direct*w.slice() {
			if counts[d], err = w.ask(ctx, m, d, now); err != nil {
				return err
			}
			continue
		}
		counts[d] = w.since(now.Add(-d), end, head)
	}
	w.counts, w.head, w.readAt = counts, head, now
	return nil
}

// sinceLast is what was counted after the last slice: what was counted in it and since, less the slice, so that what grew
// between its last scrape and the next one is in it.
func (w *watch) sinceLast(ctx context.Context, m Metrics, end, now time.Time) ([]slo.Count, error) {
	all, err := w.ask(ctx, m, now.Sub(end)+w.slice(), now)
	if err != nil || !end.Before(now) {
		return make([]slo.Count, len(w.books)), err
	}
	for i, b := range w.books {
		last := b.Get(b.At(end))
		all[i] = slo.Count{Bad: max(all[i].Bad-last.Bad, 0), Total: max(all[i].Total-last.Total, 0)}
	}
	return all, nil
}

// since is what was counted after a time, from the books and what came after them.
func (w *watch) since(from, end time.Time, head []slo.Count) []slo.Count {
	all := make([]slo.Count, len(w.books))
	for i, b := range w.books {
		all[i] = b.Sum(from, end).Add(head[i])
	}
	return all
}

// window is what was counted in the budget's window.
func (w *watch) window() []slo.Count {
	if w.readAt.IsZero() {
		return make([]slo.Count, len(w.objective.Parts))
	}
	from, _ := w.objective.Window.Bounds(w.readAt)
	return w.since(from, w.end(w.readAt), w.head)
}

// end is where the slices that were read end; not later than now, should the clock have been put back.
func (w *watch) end(now time.Time) time.Time {
	b := w.books[0]
	return b.Begin(min(w.high, b.At(now.Add(1))))
}

// ask counts over the time before now.
func (w *watch) ask(ctx context.Context, m Metrics, d time.Duration, now time.Time) ([]slo.Count, error) {
	all := make([]slo.Count, len(w.objective.Parts))
	if d < time.Second {
		return all, nil
	}
	for i, p := range w.objective.Parts {
		cs, err := counted(ctx, m, p, d, now, now, d)
		if err != nil {
			return nil, err
		}
		all[i] = cs[0]
	}
	return all, nil
}

// counted counts over windows that end at from, from+step and so on up to to.
func counted(ctx context.Context, m Metrics, p slo.Part, d time.Duration, from, to time.Time, step time.Duration) ([]slo.Count, error) {
	badQuery, totalQuery := p.Queries(d.Truncate(time.Millisecond))
	total, err := m.Values(ctx, totalQuery, from, to, step)
	if err != nil {
		return nil, err
	}
	bad, err := m.Values(ctx, badQuery, from, to, step)
	if err != nil {
		return nil, err
	}
	all := make([]slo.Count, len(total))
	for i := range total {
		if math.IsNaN(total[i]) || total[i] <= 0 || i >= len(bad) {
			continue
		}
		all[i] = slo.Count{Total: total[i]}
		if !math.IsNaN(bad[i]) {
			all[i].Bad = max(bad[i], 0)
		}
	}
	return all, nil
}

// fill reads slices that have ended since, the last few again, and some of the past that is not read yet.
func (w *watch) fill(ctx context.Context, m Metrics, now time.Time, retention time.Duration) error {
	b := w.books[0]
	end := b.At(now)
	if !b.Begin(end + 1).After(now) {
		end++
	}
	oldest := max(b.At(now.Add(-retention))+1, b.At(w.memory(now).Add(1)))
	if w.high == 0 || w.high < oldest {
		w.low, w.high = end, end
	}
	if w.high < end {
		for from := max(w.high-relook, min(w.low, w.high)); from < end; from += chunk {
			if err := w.page(ctx, m, from, min(from+chunk, end)); err != nil {
				return err
			}
			w.high = max(w.high, min(from+chunk, end))
		}
	}
	for range chunks {
		if w.low <= oldest {
			break
		}
		from := max(w.low-chunk, oldest)
		if err := w.page(ctx, m, from, w.low); err != nil {
			return err
		}
		w.low = from
	}
	for _, b := range w.books {
		b.Prune(w.memory(now).Add(-w.slice()))
	}
	return nil
}

// page reads the slices from one to before another.
func (w *watch) page(ctx context.Context, m Metrics, from, to int64) error {
	if from >= to {
		return nil
	}
	b := w.books[0]
	for i, p := range w.objective.Parts {
		cs, err := counted(ctx, m, p, w.slice(), b.Begin(from+1), b.Begin(to), w.slice())
		if err != nil {
			return err
		}
		for k, c := range cs {
			n := from + int64(k)
			if have := w.books[i].Get(n); have != c && (c.Total > 0 || have.Total == 0) { // what was counted once does not vanish with the metrics
				w.books[i].Set(n, c)
				w.dirty[n/perPage] = true
			}
		}
	}
	return nil
}

// pageDoc is a stored page.
type pageDoc struct {
	Hash  string         `json:"hash"`
	From  int64          `json:"from"` // number of the first slice
	High  int64          `json:"high"` // slices before this one were read
	Low   int64          `json:"low"`
	Parts [][][2]float64 `json:"parts"` // by part, by slice: bad and total
}

func (w *watch) pageOf(n int64) ([]byte, error) {
	d := pageDoc{Hash: w.hash, From: n * perPage, High: w.high, Low: w.low}
	for _, b := range w.books {
		cells := make([][2]float64, perPage)
		for i := range cells {
			c := b.Get(d.From + int64(i))
			cells[i] = [2]float64{round(c.Bad), round(c.Total)}
		}
		d.Parts = append(d.Parts, cells)
	}
	return json.Marshal(d)
}

func round(f float64) float64 { return math.Round(f*1000) / 1000 }

// restore takes a stored page in.
func (w *watch) restore(body []byte) bool {
	var d pageDoc
	if json.Unmarshal(body, &d) != nil || d.Hash != w.hash || len(d.Parts) != len(w.books) {
		return false
	}
	for i, cells := range d.Parts {
		for k, c := range cells {
			if c[1] > 0 {
				w.books[i].Set(d.From+int64(k), slo.Count{Bad: c[0], Total: c[1]})
			}
		}
	}
	if d.High > w.high {
		w.high, w.low = d.High, d.Low
	}
	return true
}
