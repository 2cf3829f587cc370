package resource

import (
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// Notifier tells people or programs of what is recorded.
type Notifier struct {
	To       Receiver          `json:"to" doc:"who is told: exactly one of slack, teams, email, webhook, alertmanager"`
	Events   []string          `json:"events,omitempty" maxItems:"100" doc:"beginnings of the types of events, such as rollback. or rollout.halted; * for all; default rollout., stage., gate., rollback., approval., freeze., line., and what begins, mitigates and ends an incident"`
	Services []string          `json:"services,omitempty" maxItems:"1000" doc:"only what happens to these services; default all"`
	Labels   map[string]string `json:"labels,omitempty" maxProperties:"64" doc:"only what happens to services that carry all of these"`
	Group    fleet.Dur         `json:"group,omitempty" doc:"what happens to one rollout within this time is told in one message; default 30s; none for a webhook, which gets every event"`
	Timeout  fleet.Dur         `json:"timeout,omitempty" doc:"how long one attempt to send may take; default 10s"`
	GiveUp   fleet.Dur         `json:"giveUp,omitempty" doc:"for how long a message is tried again before it is given up, which is recorded; default 24h"`
}

// Receiver is one address on one channel. What is secret stands in files that only the control plane reads.
type Receiver struct {
	Slack        *SlackTo        `json:"slack,omitempty" doc:"an incoming webhook of Slack"`
	Teams        *TeamsTo        `json:"teams,omitempty" doc:"a workflow of Microsoft Teams that posts to a channel or chat"`
	Email        *EmailTo        `json:"email,omitempty" doc:"mail by SMTP"`
	Webhook      *WebhookTo      `json:"webhook,omitempty" doc:"a program that takes signed CloudEvents"`
	Alertmanager *AlertmanagerTo `json:"alertmanager,omitempty" doc:"a program that takes Alertmanager's webhooks (version 4): it is told of alerts, and of nothing else"`
}

// AlertmanagerTo is a program that is told of pages as Alertmanager's webhooks tell of them.
type AlertmanagerTo struct {
	URL        string `json:"url,omitempty" maxLength:"2048" doc:"where it listens; https, or http on this machine"`
	URLFile    string `json:"urlFile,omitempty" doc:"file in the folder of secrets that holds the URL, where that is a secret; instead of url"`
	TokenFile  string `json:"tokenFile,omitempty" doc:"file in the folder of secrets that holds a bearer token; default none"`
	Most       int    `json:"maxAlerts,omitempty" minimum:"0" maximum:"10000" doc:"how many alerts one message holds at most; 0: all"`
	NoResolved bool   `json:"noResolved,omitempty" doc:"what is over is not told"`
}

// SlackTo is an incoming webhook; whoever knows its URL may post, so it is a secret.
type SlackTo struct {
	URLFile string `json:"urlFile" doc:"file in the folder of secrets that holds the URL"`
}

// TeamsTo is a workflow with the trigger of an incoming webhook; its URL is a secret.
type TeamsTo struct {
	URLFile string `json:"urlFile" doc:"file in the folder of secrets that holds the URL"`
}

// EmailTo is a mail server and who gets mail through it.
type EmailTo struct {
	Server       string   `json:"server" maxLength:"300" doc:"host and port, such as smtp.example.com:587"`
	TLS          string   `json:"tls,omitempty" enum:"starttls,implicit,none" doc:"starttls (default) and implicit refuse a server without it; none is for a server on this machine"`
	User         string   `json:"user,omitempty" maxLength:"320" doc:"name to sign in with; default none"`
	PasswordFile string   `json:"passwordFile,omitempty" doc:"file in the folder of secrets that holds the password"`
	From         string   `json:"from" maxLength:"320" doc:"address of the sender"`
	To           []string `json:"to" minItems:"1" maxItems:"50" doc:"addresses of those who are told"`
}

// WebhookTo is a program that is told every event, one by one and in order.
type WebhookTo struct {
	URL        string `json:"url" maxLength:"2048" doc:"where it listens; https, or http on this machine"`
	SecretFile string `json:"secretFile" doc:"file in the folder of secrets that holds the key of the signature; two lines sign with two keys, for a change of keys"`
}

// DefaultEvents are the types that a notifier tells of when it names none.
var DefaultEvents = []string{"rollout.", "stage.", "gate.", "rollback.", "approval.", "freeze.", "line.", "incident.opened", "incident.reopened", "incident.mitigated", "incident.resolved"}

// Defaults returns n with every default filled in.
func (n Notifier) Defaults() Notifier {
	if len(n.Events) == 0 {
		n.Events = DefaultEvents
	}
	if n.To.Webhook == nil {
		or(&n.Group, fleet.Dur(30*time.Second))
	}
	or(&n.Timeout, fleet.Dur(10*time.Second))
	or(&n.GiveUp, fleet.Dur(24*time.Hour))
	if n.To.Email != nil {
		email := *n.To.Email
		or(&email.TLS, "starttls")
		n.To.Email = &email
	}
	return n
}

// Channel names the one receiver that is set: slack, teams, email or webhook.
func (r Receiver) Channel() string {
	if names := r.channels(); len(names) == 1 {
		return names[0]
	}
	return ""
}

func (r Receiver) channels() []string {
	var names []string
	for _, c := range []struct {
		name string
		set  bool
	}{{"slack", r.Slack != nil}, {"teams", r.Teams != nil}, {"email", r.Email != nil}, {"webhook", r.Webhook != nil}, {"alertmanager", r.Alertmanager != nil}} {
		if c.set {
			names = append(names, c.name)
		}
	}
	return names
}

var (
	eventRE   = regexp.MustCompile(`^[a-z][a-z0-9]*([.-][a-z0-9]+)*\.?$`)
	mailboxRE = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+)*@.`)
)

func (p *problems) notifier(n *Notifier) {
	p.receiver(n.To)
	for i, e := range n.Events {
		p.need(e == "*" || eventRE.MatchString(e) && len(e) <= 253, item("spec.events", i), "the beginning of a type such as rollback. or rollout.halted, or *", "got %q", clip(e))
	}
	for i, s := range n.Services {
		p.name(s, item("spec.services", i))
	}
	for _, k := range sortedKeys(n.Labels) {
		at := field("spec.labels", k)
		p.need(labelRE.MatchString(k), at, labelWords, "%q is no label", clip(k))
		p.need(len(n.Labels[k]) <= 253, at, "at most 253 characters", "has %d", len(n.Labels[k]))
	}
	p.need(n.Group == 0 || n.To.Webhook == nil, "spec.group", "none with a webhook", "a webhook gets every event by itself")
	p.within(n.Group, time.Hour, "spec.group")
	p.within(n.Timeout, time.Minute, "spec.timeout")
	p.need(n.Timeout == 0 || n.Timeout >= fleet.Dur(100*time.Millisecond), "spec.timeout", "at least 100ms", "%s is too short", n.Timeout)
	p.within(n.GiveUp, 30*24*time.Hour, "spec.giveUp")
	p.need(n.GiveUp == 0 || n.GiveUp >= fleet.Dur(time.Minute), "spec.giveUp", "at least 1m", "%s is too short", n.GiveUp)
}

func (p *problems) receiver(r Receiver) {
	const at = "spec.to"
	names := r.channels()
	if len(names) != 1 {
		p.need(len(names) > 0, at, "slack, teams, email, webhook or alertmanager", "names no receiver")
		p.need(len(names) == 0, at, "exactly one of them; another receiver is another Notifier", "has both %s", strings.Join(names, " and "))
		return
	}
	switch {
	case r.Slack != nil:
		p.secretFile(r.Slack.URLFile, at+".slack.urlFile")
	case r.Teams != nil:
		p.secretFile(r.Teams.URLFile, at+".teams.urlFile")
	case r.Email != nil:
		p.email(r.Email, at+".email")
	case r.Webhook != nil:
		p.webhookURL(r.Webhook.URL, at+".webhook.url")
		p.secretFile(r.Webhook.SecretFile, at+".webhook.secretFile")
	case r.Alertmanager != nil:
		p.alertmanager(*r.Alertmanager, at+".alertmanager")
	}
}

func (p *problems) alertmanager(a AlertmanagerTo, at string) {
	p.need((a.URL == "") != (a.URLFile == ""), at, "either url or urlFile", "has %s", map[bool]string{true: "neither", false: "both"}[a.URL == ""])
	if a.URL != "" {
		p.webhookURL(a.URL, at+".url")
	}
	if a.URLFile != "" {
		p.secretFile(a.URLFile, at+".urlFile")
	}
	if a.TokenFile != "" {
		p.secretFile(a.TokenFile, at+".tokenFile")
	}
}

// secretFile wants a name within the folder of secrets: whoever may declare resources must not be able to have any
// other file of the machine read and sent somewhere.
func (p *problems) secretFile(s, at string) {
	ok := s != "" && len(s) <= 255 && printable(s) && !path.IsAbs(s) && path.Clean(s) == s && s != "." && s != ".." && !strings.HasPrefix(s, "../")
	p.need(ok, at, "the name of a file in the folder of secrets, such as slack-url", "got %q", clip(s))
}

func (p *problems) email(e *EmailTo, at string) {
	host, port, ok := strings.Cut(e.Server, ":")
	if strings.HasPrefix(e.Server, "[") {
		host, port, ok = strings.Cut(strings.TrimPrefix(e.Server, "["), "]:")
	}
	n, err := netip.ParseAddrPort("0.0.0.0:" + port)
	p.need(ok && err == nil && n.Port() > 0 && (validHost(strings.ToLower(host)) || isAddr(host)) && !strings.HasPrefix(host, "*"),
		at+".server", "host and port, such as smtp.example.com:587", "got %q", clip(e.Server))
	p.need(e.TLS != "none" || loopback(host), at+".tls", "starttls or implicit, as the server is another machine", "none would send in the clear")
	p.need((e.User == "") == (e.PasswordFile == ""), at+".passwordFile", "both user and passwordFile, or neither", "only one of them is given")
	p.need(printable(e.User), at+".user", "a name without control characters", "got %q", clip(e.User))
	if e.PasswordFile != "" {
		p.secretFile(e.PasswordFile, at+".passwordFile")
	}
	p.address(e.From, at+".from")
	seen := map[string]bool{}
	for i, to := range e.To {
		p.address(to, item(at+".to", i))
		p.need(!seen[to], item(at+".to", i), "each address once", "%q stands twice", clip(to))
		seen[to] = true
	}
}

func (p *problems) address(s, at string) {
	_, host, _ := strings.Cut(s, "@")
	p.need(mailboxRE.MatchString(s) && len(s) <= 320 && validHost(strings.ToLower(host)) && host[0] != '*', at, "an address such as team@example.com", "got %q", clip(s))
}

// webhookURL refuses what would be sent in the clear to another machine, and passwords, which resources must not hold.
func (p *problems) webhookURL(s, at string) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "" || !printable(s) {
		p.add(at, "a URL such as https://hooks.example.com/ringfence", "is no URL with a host") // not quoted: may hold a password
		return
	}
	p.need(u.User == nil, at, "a URL without user and password; the signature says who sends", "holds a user or password")
	p.need(u.Fragment == "", at, "a URL without #", "has a fragment, which is never sent")
	p.need(u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()), at, "https://, or http:// on this machine",
		"%q would send in the clear to another machine", clip(u.Scheme+"://"))
}

func isAddr(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// loopback says whether a host is this machine, whatever a name server says.
func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
