package ui

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// A plot is a chart that is drawn on the server: lines of shares over something. Whoever cannot see it gets the numbers.
type plot struct {
	ID, Title, Note string
	XName           string // of the column of numbers
	Width, Height   float64
	Lines           []plotLine
	XTicks, YTicks  []plotTick
	Rows            []plotRow // numbers, at the ticks
}

type plotLine struct {
	Name, Class, Path string
	points            [][2]float64
}

type plotTick struct {
	At   float64
	Name string
	Last bool // at the right edge, where a name in the middle would be cut
}

type plotRow struct {
	Name  string
	Cells []string
}

const (
	plotW, plotH                  = 460.0, 230.0
	plotLeft, plotTop             = 52.0, 10.0
	plotRight, plotBottom         = 12.0, 26.0
	plotClasses                   = 6
	mostTicks             float64 = 6
)

// plotScale says how values of the x axis lie along it.
type plotScale struct {
	log    bool
	lo, hi float64
}

func (s plotScale) at(x float64) float64 {
	part := (x - s.lo) / (s.hi - s.lo)
	if s.log {
		part = math.Log(max(x, s.lo)/s.lo) / math.Log(s.hi/s.lo)
	}
	return plotLeft + min(1, max(0, part))*(plotW-plotLeft-plotRight)
}

func upright(share float64) float64 {
	return plotTop + (1-min(1, max(0, share)))*(plotH-plotTop-plotBottom)
}

// newPlot draws lines over a scale whose ticks are among those given, in ascending order. Lines of which there is nothing
// to see are left out.
func newPlot(id, title, note, xName string, log bool, ticks []plotTick, lines []plotLine) *plot {
	p := &plot{ID: id, Title: title, Note: note, XName: xName, Width: plotW, Height: plotH}
	sc := plotScale{log: log, lo: math.Inf(1)}
	for _, l := range lines {
		for _, pt := range l.points {
			if pt[0] > 0 || !log {
				sc.lo, sc.hi = min(sc.lo, pt[0]), max(sc.hi, pt[0])
			}
		}
	}
	if sc.hi <= 0 {
		return nil
	}
	if sc.lo == sc.hi {
		sc.lo, sc.hi = sc.lo/2, sc.hi*2
	}
	if !log {
		sc.lo = 0
	}
	for i, l := range lines {
		if len(l.points) == 0 || l.points[len(l.points)-1][1] == 0 && len(lines) > 1 {
			continue
		}
		l.Class, l.Path = fmt.Sprintf("c%d", i%plotClasses), pathOf(sc, l.points)
		p.Lines = append(p.Lines, l)
	}
	for _, share := range []float64{0, 0.25, 0.5, 0.75, 1} {
		p.YTicks = append(p.YTicks, plotTick{At: upright(share), Name: fmt.Sprintf("%.0f %%", 100*share)})
	}
	ticks = slices.DeleteFunc(slices.Clone(ticks), func(t plotTick) bool { return t.At < sc.lo*0.999 || t.At > sc.hi*1.001 })
	every := int(math.Ceil(float64(len(ticks)) / mostTicks))
	for i, t := range ticks {
		if (len(ticks)-1-i)%every == 0 {
			p.XTicks = append(p.XTicks, plotTick{At: sc.at(t.At), Name: t.Name, Last: sc.at(t.At) > plotW-40})
			p.Rows = append(p.Rows, rowOf(t, p.Lines))
		}
	}
	return p
}

func pathOf(sc plotScale, points [][2]float64) string {
	var b strings.Builder
	for i, pt := range points {
		fmt.Fprintf(&b, "%c%.1f %.1f", "ML"[min(i, 1)], sc.at(pt[0]), upright(pt[1]))
	}
	last := points[len(points)-1]
	fmt.Fprintf(&b, "L%.1f %.1f", plotW-plotRight, upright(last[1])) // it stays where it came to
	return b.String()
}

// rowOf reads the lines at a tick.
func rowOf(t plotTick, lines []plotLine) plotRow {
	row := plotRow{Name: t.Name}
	for _, l := range lines {
		y := 0.0
		for i, pt := range l.points {
			if pt[0] > t.At {
				if i > 0 && pt[0] > l.points[i-1][0] {
					before := l.points[i-1]
					y += (pt[1] - before[1]) * (t.At - before[0]) / (pt[0] - before[0])
				}
				break
			}
			y = pt[1]
		}
		row.Cells = append(row.Cells, fmt.Sprintf("%.0f %%", 100*y))
	}
	return row
}

// timeTicks are minutes as people say them.
func timeTicks() []plotTick {
	var all []plotTick
	for _, d := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour,
		16 * time.Hour, day, 2 * day, 4 * day, 8 * day, 16 * day, 32 * day, 64 * day, 128 * day, 256 * day, 512 * day} {
		name := fmt.Sprintf("%d min", d/time.Minute)
		switch {
		case d >= day:
			name = fmt.Sprintf("%d d", d/day)
		case d >= time.Hour:
			name = fmt.Sprintf("%d h", d/time.Hour)
		case d < time.Minute:
			name = fmt.Sprintf("%d s", d/time.Second)
		}
		all = append(all, plotTick{At: d.Minutes(), Name: name})
	}
	return all
}

// evenTicks divide minutes from 0 evenly.
func evenTicks(most float64) []plotTick {
	for _, t := range timeTicks() {
		if most/t.At <= mostTicks {
			out := []plotTick{{Name: "0"}}
			for x := t.At; x <= most*1.001; x += t.At {
				name := fmt.Sprintf("%.0f min", x)
				switch {
				case t.At >= 24*60:
					name = fmt.Sprintf("%.0f d", x/24/60)
				case t.At >= 60:
					name = fmt.Sprintf("%.0f h", x/60)
				case t.At < 1:
					name = fmt.Sprintf("%.0f s", x*60)
				}
				out = append(out, plotTick{At: x, Name: name})
			}
			return out
		}
	}
	return nil
}

// decades are powers of ten, and what lies between.
func decades(unit float64, name func(float64) string) []plotTick {
	var all []plotTick
	for x := unit; x < unit*1e14; x *= 10 {
		for _, m := range []float64{1, 2, 5} {
			all = append(all, plotTick{At: x * m, Name: name(x * m)})
		}
	}
	return all
}
