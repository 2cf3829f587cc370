package incident

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Spell is a time in which a part of the traffic was worse than before.
type Spell struct {
	Where    string    `json:"where" doc:"the part of the traffic"`
	Start    time.Time `json:"start" doc:"the first bad event, to the scrape"`
	End      time.Time `json:"end" doc:"the last one so far"`
	Over     bool      `json:"over" doc:"it is not worse any more"`
	Evidence float64   `json:"evidence" doc:"logarithm of the likelihood ratio of worse against as before"`
	Before   float64   `json:"before" doc:"share of bad requests before"`
	During   float64   `json:"during" doc:"share of bad requests meanwhile"`
	Tally
}

const (
	// enough is the evidence that a spell needs, beyond what looking at several parts of the traffic costs.
	enough = 10.5
	// floor is what is taken for the share of bad requests where nothing is known of it, and weight for how many bad events that knowledge counts.
	floor  = 0.001
	weight = 2.0
	// joined is how far apart two spells of one trouble may be.
	joined = 5 * time.Minute
	// faded is how old knowledge is, in moments, that counts half: what is normal may drift.
	faded = 600.0
)

// worse are the multiples of the normal share of bad requests that a spell is tested for.
var worse = []float64{3, 10, 60}

// Spells finds every time in which some part of the traffic was worse than before, by start.
func Spells(counts []Count) []Spell {
	parts := partsOf(counts)
	whole := series(counts, everywhere)
	normal, spread := usual(whole)
	need := spread * (enough + math.Log(float64(len(parts)*len(worse))))
	var all []Spell
	for _, p := range parts {
		all = append(all, climb(p.name, series(counts, p.in), normal, need)...)
	}
	slices.SortStableFunc(all, func(a, b Spell) int { return a.Start.Compare(b.Start) })
	return all
}

// blocks is in how many parts a time is cut to see what is usual in it.
const blocks = 8

// usual is the share of bad requests in the calmer part of the time, which does not see a trouble in the rest of it, and
// how much more they vary there than chance lets them.
func usual(ms []moment) (rate, spread float64) {
	type block struct {
		Tally
		ms []moment
	}
	var all []block
	for i := range blocks {
		b := block{ms: ms[i*len(ms)/blocks : (i+1)*len(ms)/blocks]}
		if b.Tally = sum(b.ms); b.Requests > 0 {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b block) int { return cmp.Compare(a.Rate(), b.Rate()) })
	var calm Tally
	all = all[:(len(all)*5+7)/8]
	for _, b := range all {
		calm.Requests += b.Requests
		calm.Bad += b.Bad
	}
	rate = min(0.5, max(floor/10, (calm.Bad+1+math.Sqrt(calm.Bad+1))/(calm.Requests+1/floor))) // rather too high: few events say little
	var chi, n float64
	for _, b := range all {
		for _, m := range b.ms {
			if e := m.Requests * calm.Rate(); e > 0.2 {
				chi += (m.Bad - e) * (m.Bad - e) / e
				n++
			}
		}
	}
	if n < 20 {
		return rate, 1
	}
	return rate, min(10, max(1, chi/n))
}

// baseline is what is normal, with old knowledge fading.
type baseline struct{ requests, bad float64 }

func (b *baseline) keep(t Tally) {
	f := math.Exp2(-1 / faded)
	b.requests, b.bad = b.requests*f+t.Requests, b.bad*f+t.Bad
}

func (b baseline) rate(prior float64) float64 {
	return min(0.9, (b.bad+weight)/(b.requests+weight/prior))
}

// gain is how much more likely t is when bad requests have share p1 than when they have p0.
func gain(t Tally, p0, p1 float64) float64 {
	return t.Bad*math.Log(p1/p0) + (t.Requests-t.Bad)*math.Log((1-p1)/(1-p0))
}

func raised(p0, by float64) float64 { return min(0.98, max(p0*by, 1-(1-p0)/1.02)) }

// climb runs a CUSUM for every multiple over the moments, and gives the climbs that cross the threshold.
func climb(name string, ms []moment, prior, need float64) []Spell {
	var all []Spell
	var known baseline
	sums, from := make([]float64, len(worse)), make([]int, len(worse))
	pending := 0 // moments from here on are not in known
	for i := 0; i < len(ms); i++ {
		p0 := max(prior, known.rate(prior))
		crossed := -1
		for k, by := range worse {
			sums[k] += gain(ms[i].Tally, p0, raised(p0, by))
			if sums[k] <= 0 {
				sums[k], from[k] = 0, i+1
			} else if sums[k] >= need && crossed < 0 {
				crossed = k
			}
		}
		if crossed >= 0 {
			s, next := follow(ms, from[crossed], i, p0)
			s.Where = name
			all = append(all, s)
			i, pending = next-1, next
			clear(sums)
			for k := range from {
				from[k] = next
			}
			continue
		}
		for settled := slices.Min(from); pending < settled && pending <= i; pending++ {
			known.keep(ms[pending].Tally)
		}
	}
	return all
}

// follow finds where a climb that has crossed the threshold really began and where it ends.
func follow(ms []moment, from, crossed int, p0 float64) (Spell, int) {
	end := crossed + 1
	var p1 float64
	for range 3 { // what it was like meanwhile says where it began, and the other way round
		p1 = max(sum(ms[from:end]).Rate(), raised(p0, 1.5))
		p1 = min(p1, 0.99)
		from, end = best(ms, from, crossed, p0, p1)
	}
	over := end < len(ms)
	s := Spell{Before: p0, Tally: sum(ms[from:end]), Over: over}
	s.During = s.Rate()
	for i := from; i < end; i++ {
		s.Evidence += gain(ms[i].Tally, p0, p1)
	}
	first, last := from, end-1
	for first < end-1 && ms[first].Bad == 0 {
		first++
	}
	for last > first && ms[last].Bad == 0 {
		last--
	}
	s.Start, s.End = ms[first].at, ms[last].at
	if first > 0 && ms[first].at.Sub(ms[first-1].at) < time.Minute {
		s.Start = ms[first-1].at // it was between the two
	}
	return s, end
}

// best widens and narrows a climb around a moment to where it is likeliest: it begins at the last low before, and ends
// at the high from which the sum falls for good.
func best(ms []moment, from, crossed int, p0, p1 float64) (int, int) {
	total, high, end := 0.0, math.Inf(-1), crossed+1
	for i := from; i < len(ms); i++ {
		total += gain(ms[i].Tally, p0, p1)
		if total > high {
			high, end = total, i+1
		}
		if i > crossed && total < high-enough {
			break
		}
	}
	total, high = 0, math.Inf(-1)
	start := from
	for i := end - 1; i >= max(0, from-200); i-- {
		total += gain(ms[i].Tally, p0, p1)
		if total >= high {
			high, start = total, i
		}
		if total < high-enough {
			break
		}
	}
	if end <= start {
		end = start + 1
	}
	return start, max(end, min(crossed+1, len(ms)))
}

func sum(ms []moment) Tally {
	var t Tally
	for _, m := range ms {
		t.Requests += m.Requests
		t.Bad += m.Bad
	}
	return t
}

// Onset finds the trouble that is there at a time, or was just before: its first bad event and, when it is over, its
// last one. Spells that touch are one trouble.
func Onset(counts []Count, at time.Time) (Spell, bool) {
	all := Spells(counts)
	var found Spell
	ok := false
	for i := len(all) - 1; i >= 0; i-- { // by start: from the latest back
		s := all[i]
		if s.Start.After(at) {
			continue
		}
		switch {
		case !ok && (!s.Over || at.Sub(s.End) <= 15*time.Minute):
			found, ok = s, true
		case ok && (!s.Over || found.Start.Sub(s.End) <= joined):
			most := found
			if s.Evidence > most.Evidence { // the part in which it is clearest
				most = s
			}
			most.Start, most.End, most.Over = s.Start, found.End, found.Over && s.Over
			if s.End.After(most.End) {
				most.End = s.End
			}
			found = most
		}
	}
	return found, ok
}
