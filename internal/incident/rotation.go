package incident

import (
	"slices"
	"time"
)

// Layer is a row of people who take turns.
type Layer struct {
	Name   string
	People []string
	Start  time.Time      // when the first turn of the first one begins: what a clock on a wall in Zone shows, as if it were UTC
	Days   int            // how long a turn is
	Zone   *time.Location // whose clocks are meant
	Hours  *Hours         // only then; nil for always
}

// Hours are a part of the week, by the clock of the layer's zone.
type Hours struct {
	Days     [7]bool // by time.Weekday; that of the beginning
	From, To int     // minutes of the day; what is not later than From is on the day after
}

// Override gives a time of a layer to somebody else.
type Override struct {
	ID       string    `json:"id"`
	Rotation string    `json:"rotation"`
	Layer    string    `json:"layer"`
	Person   string    `json:"person" doc:"who takes over; empty for nobody"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	By       string    `json:"by"`
	Made     time.Time `json:"made"`
	Reason   string    `json:"reason,omitempty"`
}

// Shift is a time in which one person is on call; nobody when Person is empty.
type Shift struct {
	Layer    string    `json:"layer"`
	Person   string    `json:"person,omitempty" doc:"empty for a gap"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Override string    `json:"override,omitempty" doc:"the override by which it is so"`
}

// at is when the clock on a wall in the layer's zone shows a local time. Where clocks are put forward over it, it is as
// much later; where it is shown twice, the first time.
func (l Layer) at(local time.Time) time.Time {
	y, m, d := local.Date()
	t := time.Date(y, m, d, local.Hour(), local.Minute(), 0, 0, l.Zone)
	_, off := t.Add(-24 * time.Hour).Zone()
	first := time.Date(y, m, d, local.Hour(), local.Minute(), 0, 0, time.UTC).Add(-time.Duration(off) * time.Second) // by the clock before any change
	if !l.wall(first).Equal(local) && l.wall(t).Equal(local) {
		return t
	}
	return first.In(l.Zone)
}

// wall is what the clock on a wall in the layer's zone shows.
func (l Layer) wall(t time.Time) time.Time {
	t = t.In(l.Zone)
	_, off := t.Zone()
	return t.UTC().Add(time.Duration(off) * time.Second)
}

// turn is the number of the turn that a moment is in, negative before the first.
func (l Layer) turn(t time.Time) int {
	day := 24 * time.Hour
	n := int(l.wall(t).Sub(l.Start) / (day * time.Duration(l.Days)))
	for l.begins(n).After(t) {
		n--
	}
	for !l.begins(n + 1).After(t) {
		n++
	}
	return n
}

// begins is when a turn begins: as many days later by the clock on the wall, whatever that does meanwhile.
func (l Layer) begins(n int) time.Time { return l.at(l.Start.AddDate(0, 0, n*l.Days)) }

// Who is on call by the layer at a time, overrides aside; "" for nobody.
func (l Layer) Who(t time.Time) string {
	n := l.turn(t)
	if n < 0 || len(l.People) == 0 || l.Hours != nil && !l.open(t) {
		return ""
	}
	return l.People[n%len(l.People)]
}

// open says whether a moment is within the layer's hours: these begin and end at moments, so that a clock that is put
// back does not open them twice.
func (l Layer) open(t time.Time) bool {
	y, m, d := l.wall(t).Date()
	for _, back := range []int{1, 0} {
		day := time.Date(y, m, d-back, 0, 0, 0, 0, time.UTC)
		ends := day.Add(time.Duration(l.Hours.To) * time.Minute)
		if l.Hours.To <= l.Hours.From {
			ends = ends.AddDate(0, 0, 1)
		}
		if l.Hours.Days[day.Weekday()] && !t.Before(l.at(day.Add(time.Duration(l.Hours.From)*time.Minute))) && t.Before(l.at(ends)) {
			return true
		}
	}
	return false
}

// edges are the moments between from and to at which it may change who is on call.
func (l Layer) edges(from, to time.Time) []time.Time {
	var all []time.Time
	add := func(t time.Time) {
		if t.After(from) && t.Before(to) {
			all = append(all, t)
		}
	}
	for n := max(0, l.turn(from)); ; n++ {
		t := l.begins(n)
		if !t.Before(to) {
			break
		}
		add(t)
	}
	if l.Hours != nil {
		y, m, d := l.wall(from).Date()
		for day := time.Date(y, m, d-1, 0, 0, 0, 0, time.UTC); l.at(day).Before(to); day = day.AddDate(0, 0, 1) {
			for _, minute := range []int{l.Hours.From, l.Hours.To} {
				add(l.at(day.Add(time.Duration(minute) * time.Minute)))
			}
		}
	}
	return all
}

// Shifts say who is on call by the layer from a time to another, without holes: gaps are shifts of nobody. Of overrides
// that overlap, the one made last counts.
func (l Layer) Shifts(from, to time.Time, overrides []Override) []Shift {
	edges := append(l.edges(from, to), from, to)
	var mine []Override
	for _, o := range overrides {
		if o.Layer == l.Name && o.From.Before(to) && o.To.After(from) {
			mine = append(mine, o)
			edges = append(edges, o.From, o.To)
		}
	}
	slices.SortStableFunc(mine, func(a, b Override) int { return b.Made.Compare(a.Made) })
	slices.SortFunc(edges, time.Time.Compare)
	var all []Shift
	for i, t := range edges {
		if t.Before(from) || !t.Before(to) || i+1 == len(edges) || !edges[i+1].After(t) {
			continue
		}
		s := Shift{Layer: l.Name, Person: l.Who(t), From: t, To: edges[i+1]}
		if k := slices.IndexFunc(mine, func(o Override) bool { return !o.From.After(t) && o.To.After(t) }); k >= 0 {
			s.Person, s.Override = mine[k].Person, mine[k].ID
		}
		if n := len(all); n > 0 && all[n-1].Person == s.Person && all[n-1].Override == s.Override {
			all[n-1].To = s.To
			continue
		}
		all = append(all, s)
	}
	return all
}

// Now is the shift of the layer at a time.
func (l Layer) Now(t time.Time, overrides []Override) Shift {
	return l.Shifts(t, t.Add(time.Minute), overrides)[0]
}

// Gaps are the times in which none of the layers has anybody.
func Gaps(shifts [][]Shift, from, to time.Time) []Shift {
	edges := []time.Time{from, to}
	for _, l := range shifts {
		for _, s := range l {
			edges = append(edges, s.From)
		}
	}
	slices.SortFunc(edges, time.Time.Compare)
	edges = slices.CompactFunc(edges, time.Time.Equal)
	var all []Shift
	for i, t := range edges[:len(edges)-1] {
		covered := slices.ContainsFunc(shifts, func(l []Shift) bool {
			return slices.ContainsFunc(l, func(s Shift) bool { return s.Person != "" && !s.From.After(t) && s.To.After(t) })
		})
		switch n := len(all); {
		case covered || t.Before(from) || !t.Before(to):
		case n > 0 && all[n-1].To.Equal(t):
			all[n-1].To = edges[i+1]
		default:
			all = append(all, Shift{From: t, To: edges[i+1]})
		}
	}
	return all
}
