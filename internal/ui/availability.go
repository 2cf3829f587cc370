package ui

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/ringfence/ringfence/internal/availability"
	"github.com/ringfence/ringfence/internal/errs"
)

// Availability says how services were there for their users.
type Availability interface {
	Read(ctx context.Context, service string, from, to time.Time) (availability.Report, error)
}

// The strip's cells, in its own units; how far back days are offered.
const (
	cellW, cellH = 10, 14
	mostSpells   = 100
)

type availabilityPage struct {
	*visit
	Service     string
	Report      availability.Report
	Day         string // 2026-11-22; empty for the last 24 hours
	Before      string // the day before, and the one after, which may be none
	After       string
	Hours       []string
	Cells       []minuteCell
	Width       int
	Height      int
	Sum         string
	Spells      []spell
	More        int
	GoodPercent string
}

// minuteCell is a minute in the strip.
type minuteCell struct {
	X, Y, H int
	Look    string // good, bad, bad2, bad3, idle
	Tip     string
}

// spell is bad minutes in a row.
type spell struct {
	From, To time.Time
	Minutes  []availability.Minute
	Worst    float64
	Requests int64
	Hurt     int64
	Beside   []beside
}

// beside is what happened then.
type beside struct {
	availability.Happening
	Link string
}

func (s *Server) availability(w http.ResponseWriter, r *http.Request, v *visit) error {
	p := &availabilityPage{visit: v, Service: r.PathValue("service")}
	from, to, err := p.span(r.URL.Query().Get("day"))
	if err != nil {
		return err
	}
	v.Title = p.Service + ", minute by minute"
	if p.Report, err = s.Availability.Read(r.Context(), p.Service, from, to); err != nil {
		return err
	}
	p.draw()
	p.spells()
	rep := p.Report
	p.GoodPercent = "–"
	if rep.Good+rep.Bad > 0 {
		p.GoodPercent = percent(float64(rep.Good) / float64(rep.Good+rep.Bad))
	}
	p.Sum = fmt.Sprintf("%s and %s", plural(int64(rep.Good), "good minute", "good minutes"), plural(int64(rep.Bad), "bad one", "bad ones"))
	return s.show(w, r, http.StatusOK, "availability", p)
}

// span is the time that is asked for: a day, or the last 24 hours with whole ones first.
func (p *availabilityPage) span(day string) (from, to time.Time, err error) {
	now := p.Now.UTC()
	if day == "" {
		p.Before = now.Format(time.DateOnly)
		return now.Truncate(time.Hour).Add(-23 * time.Hour), now, nil
	}
	from, err = time.Parse(time.DateOnly, day)
	if err != nil || !from.Before(now) {
		return from, to, errs.E(errs.Invalid, "day: expected one until today, such as %s, got %.20q", now.Format(time.DateOnly), day)
	}
	to = from.Add(24 * time.Hour)
	p.Day, p.Before = day, from.Add(-time.Hour).Format(time.DateOnly)
	if to.Before(now) {
		p.After = to.Format(time.DateOnly)
		return from, to, nil
	}
	return from, now, nil
}

// draw makes the strip: an hour in each row. What is good is low and what is bad is high, so that it needs no colours.
func (p *availabilityPage) draw() {
	first := p.Report.From.Truncate(time.Hour)
	rows := 0
	for _, m := range p.Report.Minutes {
		row := int(m.At.Sub(first) / time.Hour)
		for ; rows <= row; rows++ {
			p.Hours = append(p.Hours, first.Add(time.Duration(rows)*time.Hour).Format("15:04"))
		}
		c := minuteCell{X: m.At.Minute() * cellW, Y: row*cellH + 4, H: cellH - 7, Look: m.State, Tip: m.At.Format("15:04") + ", " + minuteWords(m)}
		switch m.State {
		case availability.Unknown:
			c.Look, c.Y, c.H = "unknown", row*cellH+10, 1
		case availability.Idle:
			c.Y, c.H = row*cellH+7, 3
		case availability.Bad:
			c.Y, c.H = row*cellH+1, cellH-2
			switch {
			case m.Share >= 0.5:
				c.Look = "bad bad3"
			case m.Share >= 0.1:
				c.Look = "bad bad2"
			}
		}
		p.Cells = append(p.Cells, c)
	}
	p.Width, p.Height = 60*cellW, max(1, rows)*cellH
}

func minuteWords(m availability.Minute) string {
	switch m.State {
	case availability.Unknown:
		return "not known: no gateway was measured"
	case availability.Idle:
		return "no request"
	case availability.Good:
		return "good, " + plural(m.Requests, "request", "requests")
	}
	return fmt.Sprintf("bad: %s of %s (%d failed, %d shed, %d slow)", percent(m.Share), plural(m.Requests, "request", "requests"), m.Failed, m.Shed, m.Slow)
}

// spells puts bad minutes in a row together, the latest first.
func (p *availabilityPage) spells() {
	var all []spell
	for _, m := range p.Report.Minutes {
		if m.State != availability.Bad {
			continue
		}
		if n := len(all); n == 0 || !all[n-1].To.Equal(m.At) {
			all = append(all, spell{From: m.At})
		}
		one := &all[len(all)-1]
		one.To, one.Minutes = m.At.Add(time.Minute), append(one.Minutes, m)
		one.Worst, one.Requests = max(one.Worst, m.Share), one.Requests+m.Requests
		one.Hurt += min(m.Requests, m.Failed+m.Shed+m.Slow)
		for _, k := range m.Beside[min(len(one.Beside), len(m.Beside)):] { // those before stand beside the minute before, too
			h := p.Report.Happened[k]
			one.Beside = append(one.Beside, beside{h, linkOf(h.Ref)})
		}
	}
	for i := len(all) - 1; i >= 0 && len(p.Spells) < mostSpells; i-- {
		p.Spells = append(p.Spells, all[i])
	}
	p.More = len(all) - len(p.Spells)
}

// DayURL leads to another day.
func (p *availabilityPage) DayURL(day string) string {
	u := "/services/" + url.PathEscape(p.Service) + "/availability"
	if day != "" {
		u += "?day=" + url.QueryEscape(day)
	}
	return u
}
