package send

import (
	"cmp"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// ownTypes is what the types of events that CDEvents has no word for begin with.
const ownTypes = "dev.ringfence."

// cloudEvent is an event in structured JSON. The same event gives the same bytes, however often it is sent.
func cloudEvent(ev notify.Event) ([]byte, error) {
	e := event.New()
	e.SetID(ev.ID)
	e.SetSource(ev.Source)
	e.SetTime(ev.Time)
	e.SetSubject(cmp.Or(ev.Service, ev.Subject))
	if ev.Seq > 0 {
		e.SetExtension("sequence", strconv.FormatInt(ev.Seq, 10))
	}
	var data any = entryOf(ev)
	e.SetType(ownTypes + ev.Type)
	if predicate, version := deployment(ev); predicate != "" {
		cd := cdEventOf(ev, predicate, version)
		e.SetType(cd.Context.Type)
		data = cd
	}
	if predicate := trouble(ev); predicate != "" {
		cd := cdIncidentOf(ev, predicate)
		e.SetType(cd.Context.Type)
		data = cd
	}
	if err := e.SetData(event.ApplicationJSON, data); err != nil {
		return nil, err
	}
	return json.Marshal(e)
}

// entry is the data of an event: what is on the record, and what a receiver would have to look up.
type entry struct {
	Seq        int64           `json:"seq,omitempty"`
	Time       time.Time       `json:"time"`
	Type       string          `json:"type"`
	Actor      string          `json:"actor"`
	Subject    string          `json:"subject"`
	Hash       string          `json:"hash,omitempty"`
	Text       string          `json:"text"`
	Service    string          `json:"service,omitempty"`
	Rollout    string          `json:"rollout,omitempty"`
	Plan       string          `json:"plan,omitempty"`
	Lane       string          `json:"lane,omitempty"`
	From       string          `json:"from,omitempty"`
	To         string          `json:"to,omitempty"`
	Digest     string          `json:"digest,omitempty"`
	Units      []string        `json:"units,omitempty"`
	ReleasedBy string          `json:"releasedBy,omitempty"`
	Link       string          `json:"link,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
}

func entryOf(ev notify.Event) entry {
	return entry{
		Seq: ev.Seq, Time: ev.Time.UTC(), Type: ev.Type, Actor: ev.Actor, Subject: ev.Subject, Hash: ev.Hash, Text: ev.Text,
		Service: ev.Service, Rollout: ev.Rollout, Plan: ev.Plan, Lane: ev.Lane, From: ev.From, To: ev.To, Digest: ev.Digest,
		Units: ev.Units, ReleasedBy: ev.By, Link: ev.Link, Data: ev.Event.Data,
	}
}

// deployment says which event of a service's life this is in CDEvents, and what it leaves running; "" for none.
func deployment(ev notify.Event) (predicate, version string) {
	switch {
	case ev.Type == rollout.EvSucceeded && ev.Lane == string(rollout.Redeploy):
		return "rolledback", ev.To
	case ev.Type == rollout.EvSucceeded && ev.From == "":
		return "deployed", ev.To
	case ev.Type == rollout.EvSucceeded:
		return "upgraded", ev.To
	case ev.Type == rollout.EvRolledBack && ev.From == "":
		return "removed", ""
	case ev.Type == rollout.EvRolledBack:
		return "rolledback", ev.From
	case ev.Type == "resource.deleted" && strings.HasPrefix(ev.Subject, "service/"):
		return "removed", ""
	}
	return "", ""
}

// The versions of CDEvents' specification and of its events of a service and of an incident.
const (
	cdSpec     = "0.5.0"
	cdService  = "0.3.0"
	cdIncident = "0.3.0"
)

// cdEvent is a CDEvent of a service. What is ours stands in its custom data.
type cdEvent struct {
	Context struct {
		Spec      string    `json:"specversion"`
		ID        string    `json:"id"`
		Source    string    `json:"source"`
		Type      string    `json:"type"`
		Timestamp time.Time `json:"timestamp"`
	} `json:"context"`
	Subject struct {
		ID      string `json:"id"`
		Source  string `json:"source"`
		Content struct {
			Environment struct {
				ID string `json:"id"`
			} `json:"environment"`
			Artifact    string `json:"artifactId,omitempty"`
			Description string `json:"description,omitempty"`
			Ticket      string `json:"ticketURI,omitempty"`
			Service     *cdRef `json:"service,omitempty"`
		} `json:"content"`
	} `json:"subject"`
	Custom     entry  `json:"customData"`
	CustomType string `json:"customDataContentType"`
}

// cdRef names the subject of another event.
type cdRef struct {
	ID string `json:"id"`
}

// trouble says which event of an incident's life this is in CDEvents; "" for none. What people saw first is reported,
// what an alert or a rollout showed is detected.
func trouble(ev notify.Event) string {
	var said struct {
		Origin string `json:"origin"`
	}
	_ = json.Unmarshal(ev.Event.Data, &said)
	switch {
	case ev.Type == "incident.opened" && said.Origin == "person":
		return "reported"
	case ev.Type == "incident.opened", ev.Type == "incident.reopened":
		return "detected"
	case ev.Type == "incident.resolved":
		return "resolved"
	}
	return ""
}

func cdIncidentOf(ev notify.Event, predicate string) cdEvent {
	cd := cdEventOf(ev, predicate, "")
	cd.Context.Type = "dev.cdevents.incident." + predicate + "." + cdIncident
	cd.Subject.ID = strings.TrimPrefix(ev.Subject, "incident/")
	cd.Subject.Content.Environment.ID = "production"
	cd.Subject.Content.Description = ev.Text
	if ev.Service != "" {
		cd.Subject.Content.Service = &cdRef{ev.Service}
	}
	if predicate == "reported" {
		cd.Subject.Content.Ticket = ev.Link
	}
	return cd
}

func cdEventOf(ev notify.Event, predicate, version string) cdEvent {
	var cd cdEvent
	cd.Context.Spec, cd.Context.ID, cd.Context.Source, cd.Context.Timestamp = cdSpec, ev.ID, ev.Source, ev.Time.UTC()
	cd.Context.Type = "dev.cdevents.service." + predicate + "." + cdService
	cd.Subject.ID, cd.Subject.Source = ev.Service, ev.Source
	cd.Subject.Content.Environment.ID = cmp.Or(strings.Join(ev.Units, ","), "local")
	if version != "" {
		cd.Subject.Content.Artifact = packageURL(ev.Service, resource.SlotOf(version).Version, ev.Digest)
	}
	cd.Custom, cd.CustomType = entryOf(ev), event.ApplicationJSON
	return cd
}

// packageURL names an artifact that is in no registry: by service, version and, when it is known, its digest.
func packageURL(service, version, digest string) string {
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%3A", ":") }
	p := "pkg:generic/" + escape(service) + "@" + escape(version)
	if digest != "" {
		p += "?checksum=" + escape(digest)
	}
	return p
}
