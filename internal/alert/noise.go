package alert

import (
	"cmp"
	"slices"
	"time"
)

// Episode is one time that an alert fired.
type Episode struct {
	ID       string
	Name     string // of the alert
	Service  string
	Severity string
	Start    time.Time
	End      time.Time // zero: it still fires
	Told     bool      // people were told of it
	Acted    bool      // somebody took it, silenced it, or did something to its service
}

// Noise is what one rule was worth over a time.
type Noise struct {
	Alert      string  `json:"alert"`
	Fired      int     `json:"fired" doc:"times that it began to fire"`
	Told       int     `json:"told" doc:"of these, of which people were told"`
	Ignored    int     `json:"ignored" doc:"told, over, and nobody did anything"`
	Flapped    int     `json:"flapped" doc:"came back within an hour of its end"`
	Duplicated int     `json:"duplicated" doc:"fired while another alert of its service already did"`
	Median     float64 `json:"medianSeconds" doc:"how long it fired, in the middle"`
	Share      float64 `json:"share" doc:"part of what it fired that was noise: ignored, flapped or duplicated"`
	Advice     string  `json:"advice,omitempty"`
}

// The times by which noise is told from news.
const (
	backWithin = time.Hour
	sameCause  = 5 * time.Minute
)

// Noises sums episodes up by the alert's name, the noisiest first.
func Noises(episodes []Episode, now time.Time) []Noise {
	sorted := slices.SortedFunc(slices.Values(episodes), func(a, b Episode) int { return a.Start.Compare(b.Start) })
	last := map[string]time.Time{} // the end of an alert's last episode
	type sum struct {
		Noise
		noisy int
		took  []time.Duration
	}
	by := map[string]*sum{}
	for i, e := range sorted {
		n := by[e.Name]
		if n == nil {
			n = &sum{Noise: Noise{Alert: e.Name}}
			by[e.Name] = n
		}
		n.Fired++
		ignored := e.Told && !e.Acted && !e.End.IsZero()
		end, again := last[e.ID]
		flapped := again && !end.IsZero() && e.Start.Sub(end) <= backWithin
		duplicated := slices.ContainsFunc(sorted[:i], func(o Episode) bool {
			return o.Service != "" && o.Service == e.Service && o.ID != e.ID && (o.End.IsZero() || o.End.After(e.Start)) && e.Start.Sub(o.Start) <= sameCause
		})
		last[e.ID] = e.End
		for _, c := range []struct {
			is bool
			to *int
		}{{e.Told, &n.Told}, {ignored, &n.Ignored}, {flapped, &n.Flapped}, {duplicated, &n.Duplicated}, {ignored || flapped || duplicated, &n.noisy}} {
			if c.is {
				*c.to++
			}
		}
		if e.End.IsZero() {
			e.End = now
		}
		n.took = append(n.took, e.End.Sub(e.Start))
	}
	out := make([]Noise, 0, len(by))
	for _, n := range by {
		slices.Sort(n.took)
		n.Median = n.took[len(n.took)/2].Seconds()
		n.Share = float64(n.noisy) / float64(n.Fired)
		n.Advice = advice(n.Noise)
		out = append(out, n.Noise)
	}
	slices.SortFunc(out, func(a, b Noise) int {
		return cmp.Or(cmp.Compare(b.Share*float64(b.Fired), a.Share*float64(a.Fired)), cmp.Compare(b.Fired, a.Fired), cmp.Compare(a.Alert, b.Alert))
	})
	return out
}

// advice is what to do about a rule that is mostly noise, once there is enough to say so.
func advice(n Noise) string {
	few := n.Fired < 3 || n.Share < 0.5
	switch {
	case few:
		return ""
	case n.Flapped >= n.Ignored && n.Flapped >= n.Duplicated:
		return "it flaps: give it a longer for or keep_firing_for, or an objective's burn rate instead of a threshold"
	case n.Duplicated >= n.Ignored:
		return "another alert says the same: inhibit one by the other, or delete one"
	}
	return "nobody acts on it: make it a ticket, or delete it"
}
