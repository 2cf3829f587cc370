package notify

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/rollout"
)

// sentence says what happened, from the event and from what never changes of its rollout.
func (t told) sentence() string {
	kind, name, _ := strings.Cut(t.Subject, "/")
	if kind == "rollout" {
		if s := t.ofRollout(); s != "" {
			return s
		}
	}
	if kind == "incident" {
		if s := t.ofIncident(name); s != "" {
			return s
		}
	}
	who := person(t.Actor)
	switch t.Type {
	case "release.created", "config.created":
		service, version, _ := strings.Cut(name, "/")
		return fmt.Sprintf("%s made %s %s of %s", who, kind, version, service)
	case "resource.applied":
		var d struct{ Action string }
		_ = json.Unmarshal(t.Data, &d)
		if d.Action == "" {
			d.Action = "applied"
		}
		return fmt.Sprintf("%s %s %s %s", who, d.Action, kind, name)
	case "resource.deleted":
		return fmt.Sprintf("%s deleted %s %s", who, kind, name)
	case "unit.cordoned":
		return who + " lets nothing new be brought to unit " + name
	case "unit.drained":
		return who + " takes unit " + name + " out of service"
	case "unit.returned":
		return who + " brings unit " + name + " back"
	case "line.stopped":
		return who + " stopped the line: nothing moves outward, harm is still taken back"
	case "line.lifted":
		return who + " let the line go on"
	case EvFailed:
		var d Failed
		_ = json.Unmarshal(t.Data, &d)
		if d.Partly {
			return fmt.Sprintf("%s did not reach all of its receivers with %q", name, d.Title)
		}
		return fmt.Sprintf("%s could not be told %q, in %s", name, d.Title, plural(int64(d.Attempts), "attempt"))
	}
	return who + ": " + strings.NewReplacer(".", " ", "_", " ", "-", " ").Replace(t.Type) + ", " + t.Subject
}

// ofRollout is the sentence for the events of a rollout's life, in their order; "" for one that is not known here.
func (t told) ofRollout() string {
	who, ring, to := person(t.Actor), t.said.Ring, label(t.To)
	switch t.Type {
	case rollout.EvStarted:
		s := fmt.Sprintf("%s began to release %s", who, to)
		if t.From != "" {
			s += " in place of " + t.From
		}
		if t.said.Lane != "" {
			s += fmt.Sprintf(", in the %s lane", t.said.Lane)
		}
		return s
	case rollout.EvPreempted:
		return fmt.Sprintf("%s let a hotfix take the place of %s", who, t.Rollout)
	case rollout.EvReady:
		return to + " is ready"
	case rollout.EvExposed:
		return fmt.Sprintf("Ring %s is being switched to %s", ring, to)
	case rollout.EvBaking:
		return fmt.Sprintf("Ring %s has %s and is watched", ring, to)
	case rollout.EvJudged:
		return fmt.Sprintf("Verdict in ring %s: %s", ring, verdict(t.said.Reason))
	case rollout.EvPassed:
		return fmt.Sprintf("Ring %s passed%s", ring, withUsers(t.said.Users))
	case rollout.EvLost:
		return "No instance of " + to + " is ready any more"
	case rollout.EvFound:
		return "An instance of " + to + " is ready again"
	case rollout.EvWarned:
		return fmt.Sprintf("A gate of ring %s failed that does not take the change back: %s", ring, t.said.Gate)
	case rollout.EvAsked:
		return "Ring " + ring + " waits for approval"
	case rollout.EvApproved:
		return who + " approved ring " + ring
	case rollout.EvRejected:
		return who + " refused to approve ring " + ring
	case rollout.EvRetired:
		return label(t.From) + " is not kept running any more"
	}
	return t.ofEnd(who)
}

func (t told) ofEnd(who string) string {
	from, to := label(t.From), label(t.To)
	switch t.Type {
	case rollout.EvPaused:
		return who + " paused " + t.Rollout
	case rollout.EvResumed:
		return who + " let " + t.Rollout + " go on"
	case rollout.EvHurried:
		return who + " waived the rest of the bake of ring " + t.said.Ring
	case rollout.EvHalted:
		switch {
		case isPerson(t.Actor):
			return who + " halted " + t.Rollout
		case t.said.Ring == "":
			return "It was halted before anybody saw it"
		}
		return fmt.Sprintf("Harm was detected in ring %s%s%s", t.said.Ring, withUsers(t.said.Users), since(t.Time, t.said.HurtAt))
	case rollout.EvAborted:
		return who + " called " + t.Rollout + " back"
	case rollout.EvReverting:
		return back(t.From, "Everyone goes back to "+from)
	case rollout.EvReverted:
		return back(t.From, "Users are sent to "+from+" again")
	case rollout.EvRolledBack:
		return back(t.From, "Everyone has "+from+" again")
	case rollout.EvSucceeded:
		if t.state.Spared > 0 {
			return to + " is out to all whom it was for"
		}
		return to + " is out to everyone"
	case rollout.EvSuperseded:
		return who + " gave " + t.Rollout + " up for a newer one"
	}
	return ""
}

func back(from, s string) string {
	if from == "" {
		return "It is taken back: nothing ran before"
	}
	return s
}

func verdict(v string) string {
	if health.Verdict(v) == health.Hold {
		return "hold, there is not enough evidence"
	}
	return v
}

func label(version string) string {
	if version == "" {
		return "the version"
	}
	return version
}

func withUsers(n int64) string {
	if n == 0 {
		return ""
	}
	return ", with " + plural(n, "user") + " in it"
}

func since(at, hurt time.Time) string {
	if hurt.IsZero() || !at.After(hurt) {
		return ""
	}
	return ", " + span(at.Sub(hurt)) + " after the first bad event"
}

// span says how long something took, in two units at most.
func span(d time.Duration) string {
	unit := time.Second
	switch {
	case d < time.Second:
		unit = time.Millisecond
	case d >= 48*time.Hour:
		unit = time.Hour
	case d >= time.Hour:
		unit = time.Minute
	}
	d = d.Truncate(unit)
	var parts []string
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if u.name == "d" && d < 48*time.Hour {
			continue
		}
		if n := d / u.of; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
			d -= n * u.of
		}
	}
	if len(parts) == 0 {
		return "0 s"
	}
	return strings.Join(parts, " ")
}

func plural(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(n, 10) + " " + one + "s"
}

func isPerson(actor string) bool { return !strings.HasPrefix(actor, "system:") && actor != "" }

// person turns an actor of the record into a name.
func person(actor string) string {
	kind, name, ok := strings.Cut(actor, ":")
	switch {
	case !ok:
		return actor
	case kind == "system":
		return "Ringfence"
	}
	return name
}
