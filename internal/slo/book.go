package slo

import (
	"time"
)

// Book keeps what was counted by slices of time that follow each other: the nth covers ((n)·slice, (n+1)·slice] since 1970.
type Book struct {
	Slice time.Duration
	first int64
	cells []Count
}

// At is the slice that holds a time.
func (b *Book) At(t time.Time) int64 {
	n := t.UnixNano() / int64(b.Slice)
	if t.UnixNano()%int64(b.Slice) == 0 {
		n-- // it ends there
	}
	return n
}

// Begin is when a slice begins, which is when the one before ends.
func (b *Book) Begin(n int64) time.Time { return time.Unix(0, n*int64(b.Slice)).UTC() }

// Set writes down what was counted in a slice.
func (b *Book) Set(n int64, c Count) {
	switch {
	case len(b.cells) == 0:
		b.first, b.cells = n, []Count{c}
	case n < b.first:
		b.cells = append(make([]Count, b.first-n), b.cells...)
		b.first, b.cells[0] = n, c
	default:
		for int64(len(b.cells)) <= n-b.first {
			b.cells = append(b.cells, Count{})
		}
		b.cells[n-b.first] = c
	}
}

// Get is what was counted in a slice.
func (b *Book) Get(n int64) Count {
	if n < b.first || n >= b.first+int64(len(b.cells)) {
		return Count{}
	}
	return b.cells[n-b.first]
}

// Sum is what was counted in (from, to]; of slices that are in it in part it takes that part.
func (b *Book) Sum(from, to time.Time) Count {
	var sum Count
	if !from.Before(to) || len(b.cells) == 0 {
		return sum
	}
	last := b.At(to)
	for n := max(b.At(from.Add(1)), b.first); n <= min(last, b.first+int64(len(b.cells))-1); n++ {
		begin, end := b.Begin(n), b.Begin(n+1)
		if begin.Before(from) {
			begin = from
		}
		if end.After(to) {
			end = to
		}
		c, part := b.Get(n), float64(end.Sub(begin))/float64(b.Slice)
		sum = sum.Add(Count{c.Bad * part, c.Total * part})
	}
	return sum
}

// Prune forgets slices that end before a time.
func (b *Book) Prune(before time.Time) {
	n := b.At(before) - b.first
	if n <= 0 {
		return
	}
	n = min(n, int64(len(b.cells)))
	b.first, b.cells = b.first+n, append([]Count(nil), b.cells[n:]...)
}

// Last is the end of the last slice that has anything in it; zero for none.
func (b *Book) Last() time.Time {
	for i := len(b.cells) - 1; i >= 0; i-- {
		if b.cells[i].Total > 0 {
			return b.Begin(b.first + int64(i) + 1)
		}
	}
	return time.Time{}
}

// Point is what was left of the budget at a time.
type Point struct {
	At        time.Time `json:"at"`
	Remaining float64   `json:"remaining" doc:"part of the budget of the whole window that was left: 1 at its beginning"`
	Bad       float64   `json:"bad" doc:"bad events since the point before"`
	Total     float64   `json:"total" doc:"events since the point before"`
}

// BurnDown tells how the budget of the window that is under way was spent, at about so many points. What is allowed is a share of all
// events of the window so far, so that each bad event costs the same, whenever it was.
func (o *Objective) BurnDown(books []*Book, now time.Time, points int) []Point {
	from, _ := o.Window.Bounds(now)
	all := make([]Count, len(books))
	for i, b := range books {
		all[i] = b.Sum(from, now)
	}
	full, ok := o.Remaining(all, now)
	if !ok || len(books) == 0 {
		return nil
	}
	spentBy := func(sum []Count) float64 {
		total := 0.0
		for i, p := range o.Parts {
			if all[i].Total > 0 {
				total += p.Weight * sum[i].Bad / all[i].Total / p.Budget
			}
		}
		return total
	}
	scale := 1.0 // of a calendar's slices, counted against all that will be
	if whole := spentBy(all); whole > 0 {
		scale = (1 - full) / whole
	}
	step := max(now.Sub(from)/time.Duration(points), books[0].Slice)
	step = (step + books[0].Slice - 1) / books[0].Slice * books[0].Slice
	sum, out := make([]Count, len(books)), []Point{{At: from, Remaining: 1}}
	for at := from; at.Before(now); {
		next := at.Add(step)
		if next.After(now) {
			next = now
		}
		p := Point{At: next}
		for i, b := range books {
			c := b.Sum(at, next)
			if i == 0 {
				p.Bad, p.Total = c.Bad, c.Total
			}
			sum[i] = sum[i].Add(c)
		}
		p.Remaining = 1 - scale*spentBy(sum)
		out, at = append(out, p), next
	}
	return out
}

// Copy is the book as it is now, whatever is written down later.
func (b *Book) Copy() Book { return Book{b.Slice, b.first, append([]Count(nil), b.cells...)} }
