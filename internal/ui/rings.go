package ui

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/rollout"
)

// What a ring looks like.
const (
	ringEmpty  = "empty"  // nobody in it has the new version
	ringNow    = "now"    // it is being judged
	ringDone   = "done"   // passed
	ringBack   = "back"   // had the new version, has the one before again
	ringPlan   = "plan"   // it is not told of a rollout at all
	ringFailed = "failed" // where harm was found, or where it was when someone called it back
)

// The picture's own units.
const (
	artRadius = 150.0
	artHole   = 30.0
	artGap    = 4.0
	artLabels = 8 // more rings than these are named in the table only
)

// art is a plan drawn as concentric rings: the first is the innermost.
type art struct {
	ID                  string // tells the pictures of one page apart
	Bands               []band // outermost first, as they are painted
	Title               string
	Glyph               string
	Tone                string // of the current ring and of the glyph
	Paint               string // the colour of what the rings have, when it is a flag's variant
	Labels              bool
	Left, Width, Height float64
	Top                 float64
}

// band is one ring of the picture.
type band struct {
	Key            string
	Name           string
	Look           string
	R, Thick, Edge float64
	Fill           float64 // percent of the way round
	With           float64 // percent of the users of a ring in trial who have it; 0 when all have
	Shade          float64 // of a plan’s ring: the innermost is the darkest
	X, Y           float64 // where its label's line begins
	LineX, TextX   float64
	TextY          float64
	Note           string
}

// draw lays rings out, the first innermost.
func draw(id string, rings []ringView, tone, glyph, title string, labels bool) art {
	a := art{ID: id, Tone: tone, Glyph: glyph, Title: title, Labels: labels && len(rings) <= artLabels}
	pitch := (artRadius - artHole) / float64(max(1, len(rings)))
	gap := math.Min(artGap, pitch*0.2)
	const ray = 52 * math.Pi / 180
	for i := len(rings) - 1; i >= 0; i-- {
		r := artHole + pitch*(float64(i)+0.5)
		b := band{Key: fmt.Sprintf("%s-ring-%d", id, i), Name: rings[i].Name, Look: rings[i].Look, R: round(r), Thick: round(pitch - gap),
			Edge: round(r + (pitch-gap)/2 - 0.75), Fill: round(rings[i].Fill * 100), Note: rings[i].Glyph()}
		if rings[i].Look == ringNow && rings[i].Control > 0 {
			b.With = round(100 - rings[i].Control)
		}
		b.Shade = round(0.9 - 0.65*float64(i)/float64(max(1, len(rings)-1)))
		b.X, b.Y = round(r*math.Cos(ray)), round(-r*math.Sin(ray))
		b.LineX, b.TextX, b.TextY = artRadius+10, artRadius+18, b.Y+5
		a.Bands = append(a.Bands, b)
	}
	a.Left, a.Top, a.Width, a.Height = -artRadius-2, -artRadius-2, 2*artRadius+4, 2*artRadius+4
	if a.Labels {
		a.Width += 128
	}
	return a
}

func round(x float64) float64 { return math.Round(x*100) / 100 }

// ringView is one ring of a rollout or plan as a page tells of it.
type ringView struct {
	Number   int
	Name     string
	Purpose  string
	Risk     string
	Audience string
	Bake     string
	Look     string
	Fill     float64 // of its bake, 0 to 1
	Baked    string
	Left     string
	Verdict  health.Verdict
	Users    int64
	Share    float64 // of the service's traffic that the new version has got in this ring
	Rate     string
	Requests int64
	Variant  bool    // what comes to it is a flag's variant
	Control  float64 // percent of its users who go without while it is in trial
}

// Word says in what state a ring is.
func (r ringView) Word() string {
	switch r.Look {
	case ringDone:
		if r.Variant {
			return "has the variant"
		}
		return "has the new version"
	case ringNow:
		if r.Verdict == "" {
			return "being switched"
		}
		return "baking"
	case ringFailed:
		return "taken back from here"
	case ringBack:
		return "taken back"
	}
	return "not yet"
}

// Glyph says it with one sign, for those who do not see colours.
func (r ringView) Glyph() string {
	switch r.Look {
	case ringDone:
		return "✓"
	case ringFailed:
		return "✕"
	case ringBack:
		return "↶"
	case ringNow:
		return fmt.Sprintf("%d %%", int(r.Fill*100))
	}
	return ""
}

// ringsOf tells of the rings of a rollout.
func ringsOf(s rollout.State, verdict health.Verdict, now time.Time) []ringView {
	stages := map[string]rollout.Stage{}
	for _, st := range s.Stages {
		stages[st.Ring] = st
	}
	out := make([]ringView, len(s.Rings))
	for i, r := range s.Rings {
		v := ringView{Number: i + 1, Name: r.Name, Purpose: r.Purpose, Bake: span(time.Duration(r.Bake)), Look: lookOf(s, i), Variant: ofFlag(s.Service), Control: s.Control}
		if st, entered := stages[r.Name]; entered {
			v.Users, v.Verdict = st.Users, st.Verdict
			v.Fill, v.Baked, v.Left = bakeOf(st, time.Duration(r.Bake), now)
			for _, j := range st.Gates {
				v.Requests = max(v.Requests, j.Evidence.CanaryRequests)
			}
		}
		switch v.Look {
		case ringDone:
			v.Fill = 1
		case ringNow:
			v.Verdict = verdict
		case ringEmpty:
			v.Fill = 0
		}
		out[i] = v
	}
	return out
}

func lookOf(s rollout.State, i int) string {
	switch {
	case s.Ring < 0 || i > s.Ring:
		return ringEmpty
	case s.Phase == rollout.Succeeded:
		return ringDone
	case s.Phase == rollout.Superseded, s.Phase == rollout.RollingBack && i < s.Ring, s.Phase == rollout.RolledBack && i < s.Ring:
		return ringBack
	case s.Phase == rollout.RollingBack, s.Phase == rollout.RolledBack:
		return ringFailed
	case i < s.Ring:
		return ringDone
	}
	return ringNow
}

// bakeOf says how far a ring's bake is, how long it has been going on and how much is left.
func bakeOf(st rollout.Stage, bake time.Duration, now time.Time) (fill float64, baked, left string) {
	if st.Baking.IsZero() {
		return 0, "", ""
	}
	end := now
	if !st.Left.IsZero() {
		end = st.Left
	}
	d := max(0, end.Sub(st.Baking))
	if bake <= 0 {
		return 1, span(d.Truncate(time.Second)), ""
	}
	if d < bake && st.Left.IsZero() {
		left = span((bake - d).Round(time.Second))
	}
	return math.Min(1, float64(d)/float64(bake)), span(d.Truncate(time.Second)), left
}

// toneOf says how a rollout is doing: pass, hold, fail, or calm when there is nothing to judge.
func toneOf(s rollout.State, verdict health.Verdict) string {
	switch s.Phase {
	case rollout.Succeeded:
		return "pass"
	case rollout.RolledBack, rollout.RollingBack:
		return "fail"
	case rollout.Superseded, rollout.Starting:
		return "calm"
	case rollout.Exposing:
		return "hold"
	}
	if s.Paused || s.Halted {
		return "hold"
	}
	return string(verdict)
}

// glyphOf names the sign in the middle of the picture.
func glyphOf(s rollout.State, verdict health.Verdict) string {
	switch {
	case s.Phase == rollout.Succeeded:
		return "pass"
	case s.Phase == rollout.RolledBack, s.Phase == rollout.RollingBack:
		return "back"
	case s.Phase == rollout.Superseded:
		return "gone"
	case s.Paused, s.Halted:
		return "pause"
	case s.Phase == rollout.Starting || s.Phase == rollout.Exposing:
		return "wait"
	}
	return string(verdict)
}

// describe is the picture in words.
func describe(s rollout.State, rings []ringView) string {
	var parts []string
	for _, r := range rings {
		parts = append(parts, r.Name+": "+r.Word())
	}
	return fmt.Sprintf("Rings of %s, from the innermost: %s.", shortID(s.ID), strings.Join(parts, "; "))
}
