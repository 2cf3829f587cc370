package objective

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/slo"
)

// trial is a service that fails for 19 hours.
type trial struct {
	name   string
	budget float64
	share  float64
	end    time.Time
}

func feedTrials(w *world, onset time.Time, scrape time.Duration) []trial {
	var trials []trial
	for _, target := range []string{"0.99", "0.999", "0.9999"} {
		f, _ := strconv.ParseFloat(target, 64)
		g := 1 - f
		seen := map[float64]bool{}
		for _, share := range []float64{1, 100 * g, 20 * g, 4 * g} {
			share = float64(int(share*1e6+0.5)) / 1e6
			if seen[share] {
				continue
			}
			seen[share] = true
			name := fmt.Sprintf("t%s-%d", target[2:], int(share*1e6))
			tr := trial{name, g, share, onset.Add(19 * time.Hour)}
			c := &counter{}
			w.feed(name, epoch, tr.end.Add(8*time.Hour), scrape, c, 1000, func(at time.Time) float64 {
				if at.After(onset) && !at.After(tr.end) {
					return tr.share
				}
				return 0
			})
			w.slo(name, name, target, "30d", "")
			trials = append(trials, tr)
		}
	}
	return trials
}

// TestWorkbook feeds counters to Prometheus' own database, and finds that every row of the workbook's table begins and ends
// within one scrape of the closed form, for three targets and the shares of errors of its table.
func TestWorkbook(t *testing.T) {
	const scrape = time.Minute
	w := newWorld(t)
	onset := epoch.Add(74 * time.Hour)
	trials := feedTrials(w, onset, scrape)
	e := w.start()
	w.step(e, epoch.Add(72*time.Hour)) // the past is read in pieces
	w.step(e, epoch.Add(73*time.Hour))
	holds := func(tr trial, at time.Time) [4]bool {
		x := e.watched[tr.name]
		if err := x.read(t.Context(), w, at, e.Retention); err != nil {
			t.Fatal(err)
		}
		var out [4]bool
		for i, r := range x.rows(nil) {
			out[i] = r.Holds
		}
		return out
	}
	rows := []slo.Row{slo.Workbook[0].Rows[0], slo.Workbook[0].Rows[1], slo.Workbook[1].Rows[0], slo.Workbook[1].Rows[1]}
	fired, never := 0, 0
	for _, tr := range trials {
		type look struct {
			at   time.Time
			row  int
			want bool
		}
		var looks []look
		for i, r := range rows {
			after, ok := r.Detection(tr.budget, tr.share)
			if !ok {
				never++
				looks = append(looks, look{onset.Add(r.Short), i, false}, look{onset.Add(5 * time.Hour), i, false}, look{tr.end, i, false})
				continue
			}
			if r.Long < 19*time.Hour || after < 19*time.Hour {
				fired++
				first := onset.Add(after)
				looks = append(looks, look{first.Add(-scrape), i, false}, look{first.Add(scrape + time.Second), i, true}, look{tr.end, i, true})
				over := tr.end.Add(r.Reset(tr.budget, tr.share))
				looks = append(looks, look{over.Add(-scrape), i, true}, look{over.Add(scrape + time.Second), i, false})
			}
		}
		slices.SortFunc(looks, func(a, b look) int { return a.at.Compare(b.at) })
		for _, l := range looks {
			if l.at.Before(onset) {
				continue
			}
			if got := holds(tr, l.at)[l.row]; got != l.want {
				t.Errorf("%s, row %d, %s after the onset (%s after the end): %v, expected %v", tr.name, l.row, l.at.Sub(onset), l.at.Sub(tr.end), got, l.want)
			}
		}
	}
	if fired < 30 || never < 6 {
		t.Errorf("%d rows fired and %d never, which is too few to show anything", fired, never)
	}
	t.Logf("%d rows of %d trials began and ended within %s of the closed form, %d never did, as they should", fired, len(trials), scrape, never)
}
