package send

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/resource"
)

// PageEvent is the type of the event by which a webhook is told of a page; it stands on no record.
const PageEvent = "alert.page"

// Alert makes one attempt to tell of a page. Its errors are as those of Send.
func (s *Sender) Alert(ctx context.Context, to resource.Receiver, n alert.Notice) error {
	if to.Alertmanager == nil {
		return s.Send(ctx, to, pageMessage(n))
	}
	var hidden hidden
	err := s.alertmanager(ctx, to.Alertmanager, n, &hidden)
	if err == nil {
		return nil
	}
	f := &notify.Failure{}
	if !errors.As(err, &f) {
		f = &notify.Failure{Text: err.Error()}
	}
	f.Text = cmp.Or(oneLine(hidden.hide(f.Text), 500), "failed without a word")
	return f
}

// webhook4 is Alertmanager's message to webhooks.
type webhook4 struct {
	Receiver          string            `json:"receiver"`
	Status            string            `json:"status"`
	Alerts            []alert4          `json:"alerts"`
	Reason            string            `json:"notification_reason"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   int               `json:"truncatedAlerts"`
}

type alert4 struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
}

func webhookOf(to *resource.AlertmanagerTo, n alert.Notice) webhook4 {
	m := webhook4{Receiver: regexp.QuoteMeta(n.Receiver), Status: string(n.Page.Status), Alerts: []alert4{}, Reason: string(n.Reason), GroupLabels: n.GroupLabels,
		ExternalURL: n.Source, Version: "4", GroupKey: n.GroupKey}
	all := n.Page.Alerts
	if !to.NoResolved {
		all = slices.Concat(all, n.Ended)
	}
	if to.Most > 0 && len(all) > to.Most { // as Alertmanager does: what is left out is not looked at for what all have in common
		all, m.TruncatedAlerts = all[:to.Most], len(all)-to.Most
	}
	var labels, notes []map[string]string
	for _, a := range all {
		status := string(alert.Firing)
		if !a.EndsAt.IsZero() {
			status = string(alert.Resolved)
		}
		labels, notes = append(labels, a.Labels), append(notes, a.Annotations)
		m.Alerts = append(m.Alerts, alert4{status, orEmpty(a.Labels), orEmpty(a.Annotations), a.StartsAt, a.EndsAt, a.GeneratorURL, a.ID()})
	}
	m.CommonLabels, m.CommonAnnotations, m.GroupLabels = alert.Common(labels...), alert.Common(notes...), orEmpty(m.GroupLabels)
	return m
}

// testNotice is a message that tells of no page, such as a test.
func testNotice(m notify.Message) alert.Notice {
	a := alert.Alert{Labels: map[string]string{alert.Name: "RingfenceTest", alert.Severity: alert.Info}, Annotations: map[string]string{alert.Summary: m.Title, alert.Description: m.Why},
		StartsAt: m.At, EndsAt: m.At}
	return alert.Notice{ID: m.ID, Receiver: "test", GroupKey: "{}:{}", Page: alert.Page{Status: alert.Resolved, Alerts: []alert.Alert{a}, At: m.At}}
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func (s *Sender) alertmanager(ctx context.Context, to *resource.AlertmanagerTo, n alert.Notice, hidden *hidden) error {
	address := to.URL
	var err error
	if to.URLFile != "" {
		if address, err = s.address(to.URLFile, hidden); err != nil {
			return err
		}
	}
	body, err := json.Marshal(webhookOf(to, n))
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return &notify.Failure{Text: "the webhook's url: " + wordsOf(err)}
	}
	req.Header.Set("Content-Type", "application/json")
	if to.TokenFile != "" {
		token, err := s.secret(to.TokenFile)
		if err != nil {
			return err
		}
		hidden.add(string(token))
		req.Header.Set("Authorization", "Bearer "+string(token))
	}
	x := &exchange{by: s}
	resp, err := x.client().Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	return x.outcome(hostOf(address), err)
}

// pageMessage is a page in words.
func pageMessage(n alert.Notice) notify.Message {
	p := n.Page
	m := notify.Message{ID: n.ID, Repeat: n.Repeat, At: p.At, Link: n.Link, Mood: moodOf(p), Title: pageTitle(n), Why: p.Annotations[alert.Impact]}
	fact := func(name, value string) {
		if value != "" {
			m.Facts = append(m.Facts, notify.Fact{Name: name, Value: value})
		}
	}
	fact("Service", p.Service)
	fact("Owner", p.Owner)
	fact("Severity", p.Severity)
	fact("Since", p.Started.UTC().Format("2 January 15:04:05 UTC"))
	fact("Runbook", p.Annotations[alert.Runbook])
	if p.Ack != nil && p.Status == alert.Firing {
		fact("Taken by", p.Ack.By)
	}
	if len(p.Symptoms) > 0 {
		fact("Symptoms", strings.Join(namesOf(p.Symptoms), ", "))
	}
	for i, a := range slices.Concat(p.Alerts, n.Ended) {
		if i == mostLines {
			m.Lines = append(m.Lines, notify.Line{At: p.At, Text: fmt.Sprintf("and %d more alerts", len(p.Alerts)+len(n.Ended)-i)})
			break
		}
		at, word := a.StartsAt, "began"
		if !a.EndsAt.IsZero() {
			at, word = a.EndsAt, "is over"
		}
		m.Lines = append(m.Lines, notify.Line{At: at, Text: fmt.Sprintf("%s %s: %s", a.Labels[alert.Name], word, cmp.Or(a.Annotations[alert.Summary], a.Annotations[alert.Description], "no summary"))})
	}
	if p.Status == alert.Firing {
		m.Next = "Take it, so that nobody else is called: ringfence alert ack " + p.Key
	}
	data, _ := json.Marshal(p) // of strings and times
	ev := audit.Event{Time: p.At, Type: PageEvent, Actor: "system:pager", Subject: "page/" + p.Key, Data: data}
	m.Events = []notify.Event{{Event: ev, ID: n.ID, Source: n.Source, Service: p.Service, Text: m.Title, Link: n.Link}}
	return m
}

const mostLines = 12

func moodOf(p alert.Page) notify.Mood {
	switch {
	case p.Status == alert.Resolved:
		return notify.Good
	case p.Severity == alert.Paging:
		return notify.Bad
	case p.Severity == alert.Ticket:
		return notify.Warn
	}
	return notify.Calm
}

func pageTitle(n alert.Notice) string {
	p := n.Page
	what := "an alert"
	if len(p.Alerts) > 0 {
		what = cmp.Or(p.Annotations[alert.Summary], p.Alerts[0].Labels[alert.Name], what)
	}
	if more := len(p.Alerts) - 1; more > 0 {
		what += fmt.Sprintf(" (and %d more)", more)
	}
	if p.Service != "" && !strings.Contains(what, p.Service) {
		what = p.Service + ": " + what
	}
	switch {
	case p.Status == alert.Resolved:
		return "Over: " + what
	case n.Reason == alert.Repeats:
		return "Still: " + what
	}
	return what
}

func namesOf(alerts []alert.Alert) []string {
	var names []string
	for _, a := range alerts {
		name := a.Labels[alert.Name]
		if s := a.Labels[alert.Service]; s != "" {
			name += " of " + s
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
