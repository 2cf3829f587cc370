package incident

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Question is what is known when a cause is looked for.
type Question struct {
	Service   string
	Onset     time.Time
	End       time.Time           // when it was over, if it is
	Counts    map[string][]Count  // by service: its own, and those of services near it
	Trials    map[string][]Count  // by Ref of a flag's change: the service's requests by the variant of their user, of those in its trial
	DependsOn map[string][]string // by service: what it calls
	Changes   []Change
	Signals   []Signal
	Down      []string // services that nothing answers for, or whose own alerts fire
	Noticed   bool     // the onset is not from the data: it is when the trouble was noticed
	Own       []string // Refs of changes that were judged or taken back for this very trouble
}

// Candidate is something that may be the cause, with what speaks for it.
type Candidate struct {
	Rank    int       `json:"rank" doc:"from 1"`
	Kind    string    `json:"kind" doc:"release, config, flag, service, plan, schema, freeze or line for a change; dependency, customer, traffic, crash, disk, memory, certificate for what is none; other for none of them"`
	Ref     string    `json:"ref,omitempty" doc:"what of the record it is, such as rollout/shop-7"`
	Service string    `json:"service,omitempty"`
	Title   string    `json:"title"`
	Why     string    `json:"why" doc:"what speaks for it and against it, with numbers"`
	Share   float64   `json:"share" doc:"of the odds of all candidates, 0 to 1"`
	Score   float64   `json:"score" doc:"logarithm of its odds: the sum of the next four"`
	Near    float64   `json:"near" doc:"for its kind and how near it is to the service"`
	Lag     float64   `json:"lag" doc:"for the time between it and the first bad event"`
	Split   float64   `json:"split" doc:"for where the bad events are: logarithm of a likelihood ratio"`
	Told    float64   `json:"told" doc:"for what verdicts, alerts and its being taken back say"`
	At      time.Time `json:"at,omitzero" doc:"its last step before the first bad event"`
	Lead    float64   `json:"lead,omitempty" doc:"seconds from there to the first bad event"`
	Exposed *Tally    `json:"exposed,omitempty" doc:"requests since the first bad event to what it exposed"`
	Others  *Tally    `json:"others,omitempty" doc:"all other requests"`
	Change  bool      `json:"change" doc:"it is a change, which can be taken back"`
}

const (
	slack    = 15 * time.Second // clocks and scrapes: what came so little after the first bad event may be the cause
	closest  = 2 * time.Minute  // changes closer than that are all close
	farthest = 24 * time.Hour   // and those farther away are none
	noneOdds = -4.5             // of none of the candidates
)

// kindOdds say how often a change of a kind is the cause, next to a release.
var kindOdds = map[string]float64{ChangeRelease: 0, ChangeConfig: 0, ChangeFlag: -0.3, ChangeSchema: -0.2, ChangeService: -0.7, ChangePlan: -1, ChangeFreeze: -3, ChangeLine: -3,
	Dependency: -2, Customer: -2, Traffic: -2.5, Crash: -2, Disk: 0, Memory: -1.5, Certificate: 0.5}

// Rank orders what may be the cause, the likeliest first. "None of these" is always among them.
func Rank(q Question) []Candidate {
	j := judge{Question: q, own: splitAt(q.Counts[q.Service], q.Onset), splits: map[string]split{}}
	var all []Candidate
	for _, c := range q.Changes {
		if cand, ok := j.change(c); ok {
			all = append(all, cand)
		}
	}
	all = append(all, j.others(all)...)
	all = append(all, Candidate{Kind: Other, Title: "none of these", Near: noneOdds, Why: "What is not on the record, or more than a day old."})
	top := math.Inf(-1)
	for i := range all {
		all[i].Score = all[i].Near + all[i].Lag + all[i].Split + all[i].Told
		top = max(top, all[i].Score)
	}
	var sum float64
	for _, c := range all {
		sum += math.Exp(c.Score - top)
	}
	slices.SortStableFunc(all, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), b.At.Compare(a.At), cmp.Compare(a.Ref, b.Ref))
	})
	for i := range all {
		all[i].Rank, all[i].Share = i+1, math.Exp(all[i].Score-top)/sum
	}
	return all
}

// judge weighs candidates.
type judge struct {
	Question
	own    split
	splits map[string]split
}

// of is the split of a service; ok is false when nothing is known of its requests.
func (j *judge) of(service string) (split, bool) {
	if service == j.Service || service == "" {
		return j.own, j.own.since.Requests > 0
	}
	s, done := j.splits[service]
	if !done {
		s = splitAt(j.Counts[service], j.Onset.Add(-slack))
		j.splits[service] = s
	}
	return s, s.since.Requests > 0
}

// The relations of a service to the one that hurts.
const (
	itself    = "itself"
	called    = "called" // by the one that hurts
	caller    = "caller" // of the one that hurts
	everyone  = "any"    // it concerns all
	unrelated = "unrelated"
)

var relationOdds = map[string]float64{itself: 0, called: -0.7, caller: -1.6, everyone: -1, unrelated: -4.5}

func (j *judge) relation(service string) string {
	switch {
	case service == j.Service:
		return itself
	case service == "":
		return everyone
	case j.reaches(j.Service, service, 3):
		return called
	case j.reaches(service, j.Service, 3):
		return caller
	}
	return unrelated
}

// reaches reports whether from calls to, directly or through others.
func (j *judge) reaches(from, to string, depth int) bool {
	if depth == 0 {
		return false
	}
	for _, d := range j.DependsOn[from] {
		if d == to || j.reaches(d, to, depth-1) {
			return true
		}
	}
	return false
}

// lagOdds fall with the time between a change and the first bad event, slowly: some harm takes long to show.
func lagOdds(lead time.Duration) float64 {
	return -1.2 * math.Log1p(max(0, lead).Seconds()/closest.Seconds())
}

// change weighs a change; ok is false when it cannot be the cause.
func (j *judge) change(c Change) (Candidate, bool) {
	step, ok := c.before(j.Onset.Add(slack))
	lead := j.Onset.Sub(step.At)
	if !ok || lead > farthest || !c.Ended.IsZero() && c.Ended.Before(j.Onset.Add(-closest)) {
		return Candidate{}, false
	}
	rel := j.relation(c.Service)
	cand := Candidate{Kind: c.Kind, Ref: c.Ref, Service: c.Service, Title: c.Title, At: step.At, Lead: max(0, lead.Seconds()), Change: true,
		Near: kindOdds[c.Kind] + relationOdds[rel], Lag: lagOdds(lead)}
	if c.Kind == ChangeFlag && c.Service == "" {
		cand.Near = kindOdds[c.Kind] - 0.5 // any service may ask for it
	}
	cand.Split = j.splitOdds(c, rel, &cand)
	cand.Told = j.toldOdds(c, rel)
	cand.Why = j.whyChange(c, rel, step, lead, cand)
	return cand, true
}

// splitOdds say how well what a change exposed explains where the bad events are.
func (j *judge) splitOdds(c Change, rel string, cand *Candidate) float64 {
	if rel == itself && len(j.Trials[c.Ref]) > 0 {
		if s := splitAt(j.Trials[c.Ref], j.Onset); s.since.Requests > 0 {
			in, out := s.tallies(c.tries)
			cand.Exposed, cand.Others = &in, &out
			return s.concentration(c.tries)
		}
	}
	switch rel {
	case itself, everyone:
		s := j.own
		if s.since.Requests == 0 || len(c.Versions)+len(c.Rings)+len(c.Variants) == 0 {
			return 0
		}
		in, out := s.tallies(c.exposes)
		cand.Exposed, cand.Others = &in, &out
		return s.concentration(c.exposes)
	case unrelated:
		return 0
	}
	s, known := j.of(c.Service)
	if !known {
		return 0
	}
	in, out := s.tallies(c.exposes)
	cand.Exposed, cand.Others = &in, &out
	sick := s.sickness()
	if sick < 3 { // it serves its own well: what it did to its neighbour does not show there
		return -3
	}
	odds := min(6, sick/2)
	if len(c.Versions)+len(c.Rings)+len(c.Variants) > 0 {
		odds += s.concentration(c.exposes)
	}
	// when everything of this service got worse alike, something behind it is likelier than a change of its own that only some have
	return min(most, odds)
}

// toldOdds are for what others say: a verdict, an alert of the version that it brought, the end of the trouble with its own.
// A verdict says that a change hurt its own service: of another one it says nothing.
func (j *judge) toldOdds(c Change, rel string) float64 {
	var odds float64
	if c.Judged != "" && (rel == itself || rel == called || slices.Contains(j.Own, c.Ref)) {
		odds += 6
	}
	if c.Pushed != "" {
		odds += 0.4
	}
	if j.tookAway(c) {
		odds += 3
	}
	if _, ok := j.symptom(c); ok {
		odds += 4
	}
	return odds
}

// tookAway reports whether the trouble ended when the change was taken back.
func (j *judge) tookAway(c Change) bool {
	return !c.Ended.IsZero() && !j.End.IsZero() && j.End.Sub(c.Ended).Abs() < closest && j.End.After(j.Onset)
}

// symptom is what an alert says that a version of the change does, such as crash.
func (j *judge) symptom(c Change) (Signal, bool) {
	for _, s := range j.Signals {
		if s.Version != "" && slices.Contains(c.Versions, s.Version) && (s.Service == "" || s.Service == c.Service) {
			return s, true
		}
	}
	return Signal{}, false
}
