package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/metric"
	"github.com/ringfence/ringfence/internal/rollout"
)

const maxShown = 20_000 // bytes of an event's data

// entry is an event of the record as it is told.
type entry struct {
	audit.Event
	Text    string
	Tone    string // pass, hold, fail or calm
	Reason  string
	Link    string
	Details string
	Gates   []gateView
	Of      string // what it happened to, where events of all sorts stand together
	Mark    string // the begin of its hash, where the record is looked at
}

// entriesOf tells of events in the order given.
func entriesOf(events []audit.Event) []entry {
	out := make([]entry, len(events))
	for i, e := range events {
		out[i] = entryOf(e)
	}
	return out
}

// among tells events of all sorts apart.
func among(entries []entry) []entry {
	for i, e := range entries {
		kind, name, _ := strings.Cut(e.Subject, "/")
		entries[i].Of = kind
		switch kind {
		case "rollout", "service":
			entries[i].Of = shortID(name)
		case "flagset":
			entries[i].Of = name
		case "flag":
			entries[i].Of = strings.ReplaceAll(name, ":", "/")
		case "change-request":
			entries[i].Of = "review"
		case "experiment", "probe":
			entries[i].Of = name
		case "release":
			entries[i].Of, _, _ = strings.Cut(name, "/")
		case "token", "ui", "api":
			entries[i].Of = "access"
		}
	}
	return entries
}

// brief is the first of several reasons, without the verdict, which stands beside it.
func brief(reasons string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(reasons, "verdict is hold: "), ".; ")
	return first
}

func entryOf(e audit.Event) entry {
	out := entry{Event: e, Tone: "calm", Link: linkOf(e.Subject), Details: pretty(e.Data)}
	if out.Text = toldOf(&out); out.Text == "" {
		out.Text = person(e.Actor) + ": " + strings.NewReplacer(".", " ", "_", " ").Replace(e.Type) + ", " + e.Subject
	}
	return out
}

func linkOf(subject string) string {
	kind, name, _ := strings.Cut(subject, "/")
	switch kind {
	case "rollout":
		return "/rollouts/" + name
	case "service":
		return pageOf(name)
	case "release", "config":
		service, _, _ := strings.Cut(name, "/")
		return "/services/" + service
	case "ringplan":
		return "/plans/" + name
	case "flagset":
		return "/flag-sets/" + url.PathEscape(name)
	case "flag":
		return pageOf("flag:" + name)
	case "change-request":
		return "/change-requests#" + name
	case "experiment":
		return experimentURL(name, "")
	case "freeze", "line":
		return "/calendar"
	case "unit":
		return "/units"
	case "incident":
		return "/incidents/" + url.PathEscape(name)
	}
	return ""
}

func pretty(data json.RawMessage) string {
	var b bytes.Buffer
	if len(data) == 0 || json.Indent(&b, data, "", "  ") != nil {
		return ""
	}
	return clip(b.String(), maxShown)
}

// toldOf says what happened in a sentence and notes its tone; "" for what it has no words for.
func toldOf(out *entry) string {
	kind, name, _ := strings.Cut(out.Subject, "/")
	if kind == "rollout" {
		var e rollout.Event
		_ = json.Unmarshal(out.Data, &e) // what cannot be read is told without
		if len(e.Gates) > 0 {
			out.Gates = gatesOf(fmt.Sprintf("event-%d", out.Seq), e.Gates, "new", "stable")
		}
		return toldOfRollout(out, e, name)
	}
	if kind == "experiment" && strings.HasPrefix(out.Type, "experiment.") {
		return toldOfExperiment(out, name)
	}
	if kind == "probe" && strings.HasPrefix(out.Type, "probe.") {
		return toldOfProbe(out, name)
	}
	if kind == "unit" || strings.HasPrefix(out.Type, "instance") || strings.HasPrefix(out.Type, "schema.") {
		return toldOfUnit(out, name)
	}
	who := person(out.Actor)
	switch out.Type {
	case "release.created":
		service, version, _ := strings.Cut(name, "/")
		return fmt.Sprintf("%s released %s of %s", who, version, service)
	case "resource.applied":
		var d struct{ Action string }
		_ = json.Unmarshal(out.Data, &d)
		if d.Action == "" {
			d.Action = "applied"
		}
		return fmt.Sprintf("%s %s %s %s", who, d.Action, kind, name)
	case "resource.deleted":
		return fmt.Sprintf("%s deleted %s %s", who, kind, name)
	case "token.created":
		return "A token for " + name + " was made"
	case "session.started":
		return who + " signed in"
	case "session.ended":
		return who + " signed out"
	case "access.denied":
		var d struct{ Method, Path, Why string }
		_ = json.Unmarshal(out.Data, &d)
		out.Tone, out.Reason = "hold", sentenceCase(d.Why)
		return fmt.Sprintf("%s was refused %s %s", sentenceStart(who), d.Method, d.Path)
	case "line.stopped":
		out.Tone, out.Reason = "fail", quoted(out.Data)
		return who + " stopped the line"
	case "line.lifted":
		out.Tone, out.Reason = "pass", quoted(out.Data)
		return who + " lifted the line"
	case fleet.EvUpgraded, fleet.EvUpgradeFailed:
		var u fleet.Upgrade
		_ = json.Unmarshal(out.Data, &u)
		part := map[string]string{"control": "control plane", "data": "data plane", "up": "supervisor"}[u.Part]
		if out.Type == fleet.EvUpgradeFailed {
			out.Tone, out.Reason = "hold", sentenceCase(u.Why)
			return fmt.Sprintf("The %s stays at %s: %s was not taken", part, u.From, u.To)
		}
		return fmt.Sprintf("%s replaced the %s by %s; it was %s", who, part, u.To, u.From)
	case "config.created":
		service, version, _ := strings.Cut(name, "/")
		return fmt.Sprintf("%s made config %s of %s", who, version, service)
	case "change.requested", "change.approved", "change.applied", "change.refused":
		return toldOfRequest(out, who, name)
	case "preview.chosen":
		var d struct{ TargetingKey, Choice string }
		_ = json.Unmarshal(out.Data, &d)
		return fmt.Sprintf("%s noted the choice of %s about the preview of %s: %s", who, d.TargetingKey, strings.ReplaceAll(name, ":", "/"), d.Choice)
	case metric.LimitedEvent:
		var d metric.Limited
		_ = json.Unmarshal(out.Data, &d)
		out.Tone, out.Reason = "hold", fmt.Sprintf("It has %d, such as %s", d.Series, clip(d.Example, 200))
		return fmt.Sprintf("New series of %s are refused: it has as many metrics as it may have", d.Service)
	case "backup.taken":
		return who + " took a backup"
	}
	return ""
}

// toldOfRequest tells of the review of an edit of flags.
func toldOfRequest(out *entry, who, id string) string {
	out.Reason = quoted(out.Data)
	switch out.Type {
	case "change.requested":
		out.Tone = "hold"
		return who + " asked for a review: " + id
	case "change.approved":
		return who + " approved " + id + "; others are still waited for"
	case "change.applied":
		out.Tone = "pass"
		return who + " approved " + id + ", which applied it"
	}
	out.Tone = "fail"
	return who + " refused " + id
}

// quoted is the reason that a person gave.
func quoted(data json.RawMessage) string {
	var d struct{ Reason string }
	if json.Unmarshal(data, &d) != nil || d.Reason == "" {
		return ""
	}
	return "“" + d.Reason + "”"
}

// sentenceFirst begins a sentence with a variant; a version stays as it is written.
func sentenceFirst(s string) string {
	if strings.HasPrefix(s, "variant ") || strings.HasPrefix(s, "the caller") {
		return strings.ToUpper(s[:1]) + s[1:]
	}
	return s
}

func sentenceStart(s string) string { return strings.TrimSuffix(sentenceCase(s), ".") }

// toldOfRollout tells of a rollout's events, in the order of its life.
func toldOfRollout(out *entry, e rollout.Event, id string) string {
	who := person(out.Actor)
	out.Reason = sentenceCase(brief(e.Reason))
	e.From, e.To = thing(id, e.From), thing(id, e.To)
	id = shortID(id)
	switch out.Type {
	case rollout.EvStarted:
		if e.From == "" {
			return fmt.Sprintf("%s began %s: %s, the first release", who, id, e.To)
		}
		return fmt.Sprintf("%s began %s: from %s to %s", who, id, e.From, e.To)
	case rollout.EvReady:
		if ofFlag(out.Subject[len("rollout/"):]) {
			return "The variant can be served"
		}
		return "The new version is ready"
	case rollout.EvExposed:
		return fmt.Sprintf("Ring %s is switched to %s", e.Ring, e.To)
	case rollout.EvBaking:
		return fmt.Sprintf("Ring %s has it and is watched", e.Ring)
	case rollout.EvJudged:
		out.Reason = ""
		return judgedText(out, e)
	case rollout.EvPassed:
		out.Tone = "pass"
		return fmt.Sprintf("Ring %s passed%s", e.Ring, usersText(e.Users))
	case rollout.EvLost:
		out.Tone = "hold"
		return "No instance of the new version is ready any more"
	case rollout.EvFound:
		return "An instance of the new version is ready again"
	}
	return toldOfEnding(out, e, id, who)
}

func toldOfEnding(out *entry, e rollout.Event, id, who string) string {
	if strings.HasPrefix(out.Actor, "user:") && e.Reason != "" && !strings.HasSuffix(e.Reason, out.Actor) {
		out.Reason = "“" + e.Reason + "”" // a person's own words
	}
	switch out.Type {
	case rollout.EvPaused:
		out.Tone = "hold"
		return who + " paused " + id
	case rollout.EvResumed:
		return who + " resumed " + id
	case rollout.EvHurried:
		return fmt.Sprintf("%s waived the rest of the bake of ring %s", who, e.Ring)
	case rollout.EvPreempted:
		out.Tone = "hold"
		return "A more urgent rollout took its place"
	case rollout.EvAsked:
		out.Tone = "hold"
		return fmt.Sprintf("Approval is asked for ring %s", e.Ring)
	case rollout.EvApproved:
		out.Tone = "pass"
		return fmt.Sprintf("%s approved ring %s", who, e.Ring)
	case rollout.EvRejected:
		out.Tone = "fail"
		return fmt.Sprintf("%s refused ring %s, which halts %s", who, e.Ring, id)
	case rollout.EvRestrained:
		if e.Restraint == nil {
			return "The error budgets restrain it no more"
		}
		out.Tone = "hold"
		return "The error budgets restrain it"
	case rollout.EvWarned:
		out.Tone = "hold"
		return fmt.Sprintf("Gate %s failed in ring %s, and does not take it back", e.Gate, e.Ring)
	case rollout.EvRetired:
		return "The version before is not kept running any more"
	case rollout.EvHalted:
		out.Tone = "fail"
		if strings.HasPrefix(out.Actor, "user:") {
			return who + " halted " + id
		}
		if e.Ring == "" {
			return "Halted before anybody saw it"
		}
		return fmt.Sprintf("Harm was detected in ring %s%s%s", e.Ring, usersText(e.Users), afterText(out.Time, e.HurtAt))
	case rollout.EvAborted:
		out.Tone = "fail"
		return who + " called " + id + " back"
	case rollout.EvReverting:
		out.Reason = "" // the event before said it
		return backText("Going back to %s", e.To)
	case rollout.EvReverted:
		return backText("Users are sent to %s again", e.To)
	case rollout.EvRolledBack:
		told := backText("Everyone has %s again", e.To)
		if e.Users > 0 {
			told += "; " + plural(e.Users, "user", "users") + " had got it in the last ring"
		}
		return told
	case rollout.EvSucceeded:
		out.Tone = "pass"
		return sentenceFirst(e.To) + " is out to everyone"
	case rollout.EvSuperseded:
		return who + " gave " + id + " up for a newer one"
	}
	return ""
}

func backText(format, to string) string {
	if to == "" {
		return "Taken back: nothing ran before"
	}
	return fmt.Sprintf(format, to)
}

func judgedText(out *entry, e rollout.Event) string {
	switch health.Verdict(e.Reason) {
	case health.Pass:
		out.Tone = "pass"
		return fmt.Sprintf("Verdict in ring %s: pass, so far", e.Ring)
	case health.Fail:
		out.Tone = "fail"
		return fmt.Sprintf("Verdict in ring %s: fail", e.Ring)
	}
	out.Tone = "hold"
	return fmt.Sprintf("Verdict in ring %s: hold, not enough evidence", e.Ring)
}

func usersText(n int64) string {
	if n == 0 {
		return ""
	}
	return ", with " + plural(n, "user", "users") + " in it"
}

func afterText(at, hurt time.Time) string {
	if hurt.IsZero() || !at.After(hurt) {
		return ""
	}
	return ", " + span(at.Sub(hurt)) + " after the first bad event"
}
