package calendar

import "time"

// Local times are kept as if they were in UTC: what a clock on a wall shows, without an offset.

// wall is what the clock on a wall in zone shows at t.
func wall(t time.Time, zone *time.Location) time.Time {
	t = t.In(zone)
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// shown is when the clock on a wall in zone shows local, for the first and for the last time. Where the clock is put
// forward over it, both are the moment of that change. Both are in UTC.
func shown(local time.Time, zone *time.Location) (first, last time.Time) {
	y, mo, d := local.Date()
	h, mi, s := local.Clock()
	near := time.Date(y, mo, d, h, mi, s, 0, zone)
	began, ends := near.ZoneBounds()
	around := []time.Time{near}
	if !began.IsZero() {
		around = append(around, began.Add(-1))
	}
	if !ends.IsZero() {
		around = append(around, ends)
	}
	for _, a := range around {
		at := minusOffset(local, a, zone)
		if !wall(at, zone).Equal(local) {
			continue
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
		last = later(last, at)
	}
	if !first.IsZero() {
		return first, last
	}
	if !began.IsZero() && local.After(wall(began.Add(-1), zone)) && !local.After(wall(began, zone)) {
		return began.UTC(), began.UTC()
	}
	return ends.UTC(), ends.UTC()
}

// minusOffset is local with the offset that is in force in zone at t.
func minusOffset(local, t time.Time, zone *time.Location) time.Time {
	_, offset := t.In(zone).Zone()
	return local.Add(-time.Duration(offset) * time.Second)
}
