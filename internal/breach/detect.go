package breach

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
)

// Detection is something on the record that looks like a breach.
type Detection struct {
	Name     string    `json:"name" doc:"which rule found it"`
	Actor    string    `json:"actor,omitempty" doc:"whose doing it is"`
	Seq      int64     `json:"seq" doc:"the event that gave it away"`
	At       time.Time `json:"at"`
	Why      string    `json:"why"`
	Owner    string    `json:"owner" doc:"who looks at it"`
	Playbook string    `json:"playbook" doc:"what contains it"`
}

// The rules on the record.
const (
	TwoPlaces      = "TokenUsedFromTwoPlaces"
	UnusualHour    = "UnusualHour"
	UnusualScope   = "RightsTried"
	PolicyLoosened = "PolicyLoosenedBeforeRelease"
	HoneyTouched   = "HoneyTouched"
	RecordGap      = "RecordGap"
)

// Rule is what a detection is looked at by.
type Rule struct{ Name, About, Owner, Playbook string }

const owner = "security"

// Rules are those that Watch applies.
var Rules = []Rule{
	{TwoPlaces, "one name is at work from two addresses within an hour", owner, "Ask whose name it is. If they cannot explain both: ringfence breach start, then contain, which ends all sessions and tokens of the name."},
	{UnusualHour, "somebody changes something at an hour of the day at which they never did in at least a week", owner, "Ask whose name it is, by another way than the one they came by. If it was not them: ringfence breach start, then contain."},
	{UnusualScope, "somebody is refused five times within ten minutes", owner, "See what was tried: ringfence audit list --type access.denied. If it is not a mistake: ringfence breach start, then contain."},
	{PolicyLoosened, "rules of who may do what were changed less than an hour before the same person releases something", owner, "Stop the line, read the change of the rules, take it back; then decide on the release."},
	{HoneyTouched, "something is used that nobody has a reason to use", owner, "Somebody is inside: ringfence breach start, then contain, then look where the bait was."},
	{RecordGap, "the record is not what it was, or its time goes backwards", owner, "Keep an export and the shipped checkpoints as evidence, then rebuild the control plane from a backup and the log: docs/breach.md."},
}

const (
	placeWindow  = time.Hour
	triesWindow  = 10 * time.Minute
	tries        = 5
	loosenWindow = time.Hour
	habitDays    = 7
	habitEvents  = 50
	backwards    = 5 * time.Minute
	quiet        = time.Hour // the same of the same actor is told again after so long
	maxActors    = 5000
)

// Watch is what is remembered of the record. The zero Watch remembers nothing.
type Watch struct {
	Seq      int64                `json:"seq"`
	Last     time.Time            `json:"last"`
	People   map[string]*Person   `json:"people,omitempty"`
	Told     map[string]time.Time `json:"told,omitempty"`
	Honey    map[string]bool      `json:"honey,omitempty"` // actors and subjects
	Loosened time.Time            `json:"loosened,omitzero"`
	By       string               `json:"by,omitempty"`
}

// Person is what is remembered of an actor.
type Person struct {
	Places map[string]time.Time `json:"places,omitempty"`
	Hours  [24]int              `json:"hours"`
	Events int                  `json:"events"`
	First  time.Time            `json:"first"`
	Denied []time.Time          `json:"denied,omitempty"`
	Seen   time.Time            `json:"seen"`
}

// Next takes the next event and says what it gives away.
func (w *Watch) Next(e audit.Event) []Detection {
	if e.Seq <= w.Seq {
		return nil
	}
	w.Seq = e.Seq
	if e.Removed() {
		return nil
	}
	var found []Detection
	say := func(name, format string, args ...any) {
		if d, ok := w.tell(name, e, fmt.Sprintf(format, args...)); ok {
			found = append(found, d)
		}
	}
	if e.Type == "record.mismatch" {
		say(RecordGap, "the record is not what it was: %s", textOf(e, "why"))
	} else if !w.Last.IsZero() && w.Last.Sub(e.Time) > backwards {
		say(RecordGap, "event %d is %s older than the one before", e.Seq, w.Last.Sub(e.Time).Round(time.Second))
	}
	if e.Time.After(w.Last) {
		w.Last = e.Time
	}
	w.honey(e, say)
	w.rules(e, say)
	if strings.HasPrefix(e.Actor, "user:") {
		w.person(e, say)
	}
	return found
}

// tell makes a detection, unless the same was told a short while ago.
func (w *Watch) tell(name string, e audit.Event, why string) (Detection, bool) {
	key := name + "|" + e.Actor
	if at, ok := w.Told[key]; ok && e.Time.Sub(at) < quiet && e.Time.Sub(at) >= 0 {
		return Detection{}, false
	}
	if w.Told == nil || len(w.Told) >= maxActors {
		w.Told = map[string]time.Time{}
	}
	w.Told[key] = e.Time
	i := slices.IndexFunc(Rules, func(r Rule) bool { return r.Name == name })
	return Detection{Name: name, Actor: e.Actor, Seq: e.Seq, At: e.Time, Why: why, Owner: Rules[i].Owner, Playbook: Rules[i].Playbook}, true
}

// honey watches bait, which is laid out by an event.
func (w *Watch) honey(e audit.Event, say func(string, string, ...any)) {
	switch e.Type {
	case "honey.laid":
		if w.Honey == nil {
			w.Honey = map[string]bool{}
		}
		w.Honey[e.Subject] = true
		if name, ok := strings.CutPrefix(e.Subject, "token/"); ok {
			w.Honey["user:"+name] = true
		}
		return
	case "honey.taken-up":
		delete(w.Honey, e.Subject)
		if name, ok := strings.CutPrefix(e.Subject, "token/"); ok {
			delete(w.Honey, "user:"+name)
		}
		return
	}
	switch {
	case w.Honey[e.Actor]:
		say(HoneyTouched, "%s is bait, and did %s to %s", e.Actor, e.Type, e.Subject)
	case w.Honey[e.Subject] && !strings.HasPrefix(e.Type, "token.created") && e.Actor != "system:start":
		say(HoneyTouched, "%s is bait, and %s did %s to it", e.Subject, e.Actor, e.Type)
	}
}

// rules watches rules of who may do what, and what follows upon a change of them.
func (w *Watch) rules(e audit.Event, say func(string, string, ...any)) {
	kind, _, _ := strings.Cut(e.Subject, "/")
	switch {
	case strings.HasPrefix(e.Type, "policy."), strings.HasPrefix(e.Type, "resource.") && (kind == "accesspolicy" || kind == "accessrules"):
		w.Loosened, w.By = e.Time, e.Actor
	case strings.HasPrefix(e.Type, "resource.") && slices.Contains([]string{"group", "freeze", "ringplan"}, kind) && !created(e):
		w.Loosened, w.By = e.Time, e.Actor
	case e.Type == "rollout.started" && e.Actor == w.By && strings.HasPrefix(e.Actor, "user:") && e.Time.Sub(w.Loosened) < loosenWindow:
		say(PolicyLoosened, "%s changed rules %s before starting %s", e.Actor, e.Time.Sub(w.Loosened).Round(time.Second), e.Subject)
	}
}

// created says whether a resource was declared for the first time: a plan that nothing followed yet loosens nothing.
func created(e audit.Event) bool {
	var said struct{ Action string }
	return json.Unmarshal(e.Data, &said) == nil && said.Action == "created"
}

// person watches where and when somebody is at work, and what they try.
func (w *Watch) person(e audit.Event, say func(string, string, ...any)) {
	p := w.People[e.Actor]
	if p == nil {
		if w.People == nil || len(w.People) >= maxActors {
			w.People = map[string]*Person{}
		}
		p = &Person{First: e.Time, Places: map[string]time.Time{}}
		w.People[e.Actor] = p
	}
	p.Seen = e.Time
	if from := place(textOf(e, "from")); from != "" {
		for other, at := range p.Places {
			switch {
			case e.Time.Sub(at) > placeWindow:
				delete(p.Places, other)
			case other != from:
				say(TwoPlaces, "%s came from %s, %s after coming from %s", e.Actor, from, e.Time.Sub(at).Round(time.Second), other)
			}
		}
		p.Places[from] = e.Time
	}
	if e.Type == "access.denied" {
		p.Denied = append(slices.DeleteFunc(p.Denied, func(at time.Time) bool { return e.Time.Sub(at) > triesWindow }), e.Time)
		if len(p.Denied) >= tries {
			say(UnusualScope, "%s was refused %d times within %s", e.Actor, len(p.Denied), triesWindow)
		}
		return
	}
	if e.Type == "record.read" || strings.HasPrefix(e.Type, "session.") { // looking is no habit of changing
		return
	}
	hour := e.Time.UTC().Hour()
	if p.Events >= habitEvents && e.Time.Sub(p.First) >= habitDays*24*time.Hour && p.Hours[hour]+p.Hours[(hour+1)%24]+p.Hours[(hour+23)%24] == 0 {
		say(UnusualHour, "%s did %s at %s UTC, where none of %d events since %s was", e.Actor, e.Type, e.Time.UTC().Format("15:04"), p.Events, p.First.UTC().Format(time.DateOnly))
	}
	p.Hours[hour]++
	p.Events++
}

// place is an address that tells places apart; this machine is none.
func place(text string) string {
	a, err := netip.ParseAddr(text)
	if err != nil || a.IsLoopback() {
		return ""
	}
	if a.Is6() && !a.Is4In6() { // a household has a /64
		if prefix, err := a.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return a.Unmap().String()
}

func textOf(e audit.Event, field string) string {
	var data map[string]json.RawMessage
	var text string
	if json.Unmarshal(e.Data, &data) == nil {
		_ = json.Unmarshal(data[field], &text) // what is no text is not told
	}
	return text
}
