package controller

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/ringfence/ringfence/internal/rollout"
)

// busiest is the hour of the day with the most traffic in the week before a bake.
type busiest struct {
	known bool
	hour  int // of the day, in UTC; -1 when a week tells nothing
}

// covered says whether the bake has covered the service's peak: the declared one, or the busiest hour of the day in
// the week before. Without a day of history any hour may be the peak, so a whole day is.
func (c *Controller) covered(ctx context.Context, b *busiest, sit situation, baking, now time.Time) rollout.Peak {
	if w := sit.spec.Service.Peak; w != nil && c.Calendar != nil {
		if c.Calendar.Covered(*w, baking, now) {
			return rollout.Peak{Covered: true}
		}
		_, end, ok := c.Calendar.Next(*w, baking)
		if !ok {
			return rollout.Peak{Covered: true} // there is none to come
		}
		return rollout.Peak{Waiting: "it ends " + end.UTC().Format("Mon 2 Jan 15:04 MST")}
	}
	if !b.known {
		hour, err := c.busiest(ctx, sit.spec.Name, baking)
		if err != nil {
			return rollout.Peak{Waiting: "the traffic of the last week cannot be read: " + err.Error()}
		}
		b.known, b.hour = true, hour
	}
	if b.hour < 0 {
		end := baking.Add(24 * time.Hour)
		return rollout.Peak{Covered: !now.Before(end), Waiting: "the week before tells of no peak, so a whole day has to be covered, until " + end.UTC().Format("Mon 2 Jan 15:04 MST")}
	}
	end := hourAfter(baking, b.hour)
	return rollout.Peak{Covered: !now.Before(end), Waiting: fmt.Sprintf("the busiest hour of the last week is from %02d:00 UTC, and ends %s", b.hour, end.Format("Mon 2 Jan 15:04 MST"))}
}

// hourAfter is the end of the first whole hour of the day that begins at or after t.
func hourAfter(t time.Time, hour int) time.Time {
	t = t.UTC()
	at := time.Date(t.Year(), t.Month(), t.Day(), hour, 0, 0, 0, time.UTC)
	if at.Before(t) {
		at = at.AddDate(0, 0, 1)
	}
	return at.Add(time.Hour)
}

func (c *Controller) busiest(ctx context.Context, service string, baking time.Time) (int, error) {
	if c.Further == nil {
		return -1, nil
	}
	last := baking.UTC().Truncate(time.Hour)
	expr := fmt.Sprintf(`sum(increase(ringfence_requests_total{service=%q}[1h]))`, service)
	values, err := c.Further.Values(ctx, expr, last.Add(-167*time.Hour), last, time.Hour)
	if err != nil {
		return -1, err
	}
	return busiestHour(values, last.Add(-168*time.Hour)), nil
}

// busiestHour is the hour of the day with the highest mean, of hourly values from a time on; -1 with less than a day of them.
func busiestHour(values []float64, from time.Time) int {
	var sums, counts [24]float64
	days := 0.0
	for i, v := range values {
		if math.IsNaN(v) {
			continue
		}
		h := from.Add(time.Duration(i) * time.Hour).UTC().Hour()
		sums[h] += v
		counts[h]++
		days += 1.0 / 24
	}
	best, most := -1, 0.0
	for h := range sums {
		if counts[h] == 0 {
			continue
		}
		if mean := sums[h] / counts[h]; mean > most {
			best, most = h, mean
		}
	}
	if days < 1-1e-9 {
		return -1
	}
	return best
}
