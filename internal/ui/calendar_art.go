package ui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ringfence/ringfence/internal/resource"
)

// The calendar's own units.
const (
	dayWidth    = 140.0
	weekWidth   = 7 * dayWidth
	weekHead    = 30.0
	laneHeight  = 24.0
	hoursHeight = 6.0
	letter      = 7.0 // how wide one is, about
	mostLanes   = 8
	mostHours   = 3
)

// weekArt is one week, drawn.
type weekArt struct {
	Title  string
	Days   []dayArt
	Hours  []barArt
	Bars   []barArt
	Ticks  []tick
	Width  float64
	Height float64
	Now    float64 // where now is; 0 when it is not in this week
	Hidden string  // what has no room
	HideY  float64
}

type dayArt struct {
	X, Middle    float64
	Name, Number string
	Today, Other bool // of another month
}

type barArt struct {
	Kind, Label, Title, Link string
	X, Y, Width, Height      float64
	TextX, TextY             float64
	Outside                  bool // the label has no room in the bar
	End                      bool // the label ends where it is placed
	from, to                 float64
}

// drawWeek draws the week from a Monday on; month 0 is any.
func drawWeek(monday time.Time, month time.Month, now time.Time, blocks []block, hours []hoursView, tall bool) weekArt {
	end := monday.AddDate(0, 0, 7)
	a := weekArt{Title: "Week from " + monday.Format("Monday 2 January 2006"), Width: weekWidth}
	x := func(t time.Time) float64 {
		return round(weekWidth * max(0, min(1, t.Sub(monday).Hours()/(7*24))))
	}
	for i := range 7 {
		d := monday.AddDate(0, 0, i)
		left := float64(i) * dayWidth
		one := dayArt{X: left, Middle: left + dayWidth/2, Name: d.Format("Mon"), Number: strconv.Itoa(d.Day()), Today: d.Format(dateForm) == now.UTC().Format(dateForm),
			Other: month != 0 && d.Month() != month}
		if d.Day() == 1 {
			one.Number = d.Format("2 Jan")
		}
		a.Days = append(a.Days, one)
		if tall {
			for h := 6; h < 24; h += 6 {
				at := tick{X: round(left + dayWidth*float64(h)/24), Label: fmt.Sprintf("%02d", h)}
				if h == 6 {
					at.Label = "" // the day stands there
				}
				a.Ticks = append(a.Ticks, at)
			}
		}
	}
	top := weekHead + 4
	for k, h := range hours[:min(len(hours), mostHours)] {
		for _, s := range openIn(h.hours, monday, end) {
			a.Hours = append(a.Hours, barArt{Kind: "hours", X: x(s.Start), Width: round(x(s.End) - x(s.Start)), Y: top + float64(k)*(hoursHeight+2), Height: hoursHeight})
		}
	}
	top += float64(min(len(hours), mostHours)) * (hoursHeight + 2)
	lanes, hidden := a.place(blocks, monday, end, x, top+4)
	least := 2
	if tall {
		least = 6
	}
	a.Height = top + 8 + float64(max(lanes, least))*laneHeight
	if hidden > 0 {
		a.Hidden, a.HideY = fmt.Sprintf("and %d more, in the list", hidden), a.Height+10
		a.Height += 18
	}
	if !now.Before(monday) && now.Before(end) {
		a.Now = x(now)
	}
	if n := len(a.Bars); n > 0 {
		names := make([]string, n)
		for i, b := range a.Bars {
			names[i] = b.Title
		}
		a.Title += ": " + clip(strings.Join(names, "; "), 1000)
	}
	return a
}

// place puts blocks into lanes in which neither they nor their labels overlap.
func (a *weekArt) place(blocks []block, from, to time.Time, x func(time.Time) float64, top float64) (lanes, hidden int) {
	var taken [][]barArt
	order := []string{"freeze", "bake", "soon", "past"} // what is over gives way first
	blocks = slices.Clone(blocks)
	slices.SortStableFunc(blocks, func(a, b block) int { return slices.Index(order, a.Kind) - slices.Index(order, b.Kind) })
	for _, b := range blocks {
		if !b.Start.Before(to) || !b.End.After(from) {
			continue
		}
		bar := barOf(b, x(b.Start), x(b.End))
		lane := slices.IndexFunc(taken, func(in []barArt) bool {
			return !slices.ContainsFunc(in, func(o barArt) bool { return bar.from < o.to && o.from < bar.to })
		})
		if lane < 0 {
			lane = len(taken)
			taken = append(taken, nil)
		}
		if lane >= mostLanes {
			hidden++
			taken = taken[:mostLanes]
			continue
		}
		taken[lane] = append(taken[lane], bar)
		bar.Y = top + float64(lane)*laneHeight
		bar.TextY = bar.Y + 14
		a.Bars = append(a.Bars, bar)
	}
	return len(taken), hidden
}

func barOf(b block, left, right float64) barArt {
	bar := barArt{Kind: b.Kind, Label: b.Name, Link: b.Link, X: left, Width: max(4, round(right-left)), Height: laneHeight - 5}
	bar.Title = fmt.Sprintf("%s: %s, from %s to %s", b.Name, b.Text, b.Start.UTC().Format("Mon 2 Jan 15:04"), b.End.UTC().Format("Mon 2 Jan 15:04"))
	wide := letter*float64(utf8.RuneCountInString(bar.Label)) + 12
	bar.TextX, bar.from, bar.to = left+6, left, left+bar.Width+2
	switch {
	case wide <= bar.Width:
	case left+bar.Width+wide <= weekWidth:
		bar.Outside, bar.TextX, bar.to = true, left+bar.Width+5, left+bar.Width+wide
	case left-wide >= 0:
		bar.Outside, bar.End, bar.TextX, bar.from = true, true, left-5, left-wide
	default:
		bar.Label = clip(bar.Label, max(0, int((bar.Width-20)/letter)))
	}
	return bar
}

// openIn are the times of a week's hours that lie between two times.
func openIn(h resource.Hours, from, to time.Time) []Span {
	zone, err := time.LoadLocation(h.Zone)
	if err != nil {
		return nil
	}
	days := h.Days
	if len(days) == 0 {
		days = []string{"mon", "tue", "wed", "thu", "fri"}
	}
	begin, end := minutesOf(h.From, 9*60), minutesOf(h.To, 17*60)
	if end <= begin {
		end += 24 * 60
	}
	var all []Span
	for d := from.In(zone).AddDate(0, 0, -2); d.Before(to.AddDate(0, 0, 2)); d = d.AddDate(0, 0, 1) {
		if !slices.Contains(days, strings.ToLower(d.Format("Mon"))) {
			continue
		}
		s := Span{time.Date(d.Year(), d.Month(), d.Day(), 0, begin, 0, 0, zone), time.Date(d.Year(), d.Month(), d.Day(), 0, end, 0, 0, zone)}
		if s.End.After(from) && s.Start.Before(to) {
			all = append(all, s)
		}
	}
	return all
}

func minutesOf(clock string, otherwise int) int {
	var h, m int
	if _, err := fmt.Sscanf(clock, "%d:%d", &h, &m); err != nil {
		return otherwise
	}
	return h*60 + m
}
