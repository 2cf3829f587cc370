package resource

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func judged(t *testing.T, spec string) []Problem {
	t.Helper()
	var n Notifier
	if err := json.Unmarshal([]byte(spec), &n); err != nil {
		t.Fatal(err)
	}
	var p problems
	p.notifier(&n)
	return p.list
}

const (
	goodMail = `{"to":{"email":{"server":"smtp.example.com:587","user":"ringfence","passwordFile":"mail/password","from":"ringfence@example.com","to":["shop@example.com"]}}}`
	goodHook = `{"to":{"webhook":{"url":"https://hooks.example.com/in?team=shop","secretFile":"hook-key"}}}`
)

func TestNotifiersTaken(t *testing.T) {
	for _, spec := range []string{
		goodMail, goodHook,
		`{"to":{"slack":{"urlFile":"slack-url"}},"events":["rollback.","rollout.halted","line.pulled-back","*"],"services":["shop"],"labels":{"tier":"1"},"group":"1m","timeout":"5s","giveUp":"1h"}`,
		`{"to":{"teams":{"urlFile":"teams-url"}}}`,
		`{"to":{"webhook":{"url":"http://localhost:9000/","secretFile":"k"}}}`,
		`{"to":{"webhook":{"url":"http://[::1]:9000/","secretFile":"k"}}}`,
		`{"to":{"email":{"server":"[::1]:25","tls":"none","from":"a+b@localhost","to":["c.d@e.org"]}}}`,
		`{"to":{"email":{"server":"10.0.0.1:465","tls":"implicit","from":"a@b","to":["c@d"]}}}`,
	} {
		if ps := judged(t, spec); len(ps) > 0 {
			t.Errorf("%s: %v", spec, ps)
		}
	}
}

func TestNotifierRefusals(t *testing.T) {
	mail := func(edit ...string) string { return strings.NewReplacer(edit...).Replace(goodMail) }
	hook := func(url string) string {
		return strings.Replace(goodHook, "https://hooks.example.com/in?team=shop", url, 1)
	}
	slack := func(file, rest string) string { return `{"to":{"slack":{"urlFile":"` + file + `"}}` + rest + `}` }
	for _, tt := range []struct{ spec, want string }{
		{`{"to":{}}`, `spec.to: names no receiver, expected slack, teams, email, webhook or alertmanager`},
		{`{"to":{"slack":{"urlFile":"a"},"teams":{"urlFile":"b"}}}`, `spec.to: has both slack and teams, expected exactly one of them`},
		{slack("", ""), `spec.to.slack.urlFile: got ""`},
		{slack("/etc/shadow", ""), `spec.to.slack.urlFile: got "/etc/shadow", expected the name of a file in the folder of secrets`},
		{slack("../admin-token", ""), `spec.to.slack.urlFile: got "../admin-token"`},
		{slack("a/../../b", ""), `spec.to.slack.urlFile: got`},
		{slack("..", ""), `spec.to.slack.urlFile: got`},
		{`{"to":{"teams":{"urlFile":"."}}}`, `spec.to.teams.urlFile: got`},
		{slack("a", `,"events":["Rollout."]`), `spec.events[0]: got "Rollout.", expected the beginning of a type`},
		{slack("a", `,"events":["rollout.*"]`), `spec.events[0]: got "rollout.*"`},
		{slack("a", `,"events":[""]`), `spec.events[0]: got ""`},
		{slack("a", `,"services":["Shop"]`), `spec.services[0]: "Shop" is no name`},
		{slack("a", `,"labels":{"a b":"c"}`), `spec.labels["a b"]: "a b" is no label`},
		{slack("a", `,"group":"2h"`), `spec.group: 2h is too long, expected at most 1h`},
		{slack("a", `,"timeout":"2m"`), `spec.timeout: 2m is too long`},
		{slack("a", `,"timeout":"1ms"`), `spec.timeout: 1ms is too short`},
		{slack("a", `,"giveUp":"1s"`), `spec.giveUp: 1s is too short`},
		{slack("a", `,"giveUp":"1000h"`), `spec.giveUp: 1000h is too long`},
		{strings.Replace(goodHook, `"}}}`, `"}},"group":"1m"}`, 1), `spec.group: a webhook gets every event by itself`},
		{hook("http://hooks.example.com/"), `spec.to.webhook.url: "http://" would send in the clear to another machine`},
		{hook("ftp://localhost/"), `spec.to.webhook.url: "ftp://"`},
		{hook("https://"), `spec.to.webhook.url: is no URL with a host`},
		{hook("https://:443/"), `spec.to.webhook.url: is no URL with a host`},
		{hook("hooks.example.com"), `spec.to.webhook.url: is no URL with a host`},
		{hook("https://ann:secret@hooks.example.com/"), `spec.to.webhook.url: holds a user or password, expected a URL without`},
		{hook("https://hooks.example.com/#a"), `spec.to.webhook.url: has a fragment`},
		{strings.Replace(goodHook, "hook-key", "/k", 1), `spec.to.webhook.secretFile: got "/k"`},
		{mail("smtp.example.com:587", "smtp.example.com"), `spec.to.email.server: got "smtp.example.com", expected host and port`},
		{mail("smtp.example.com:587", "smtp.example.com:0"), `spec.to.email.server: got`},
		{mail("smtp.example.com:587", "*.example.com:25"), `spec.to.email.server: got`},
		{mail("smtp.example.com:587", "a b:25"), `spec.to.email.server: got`},
		{mail(`"user"`, `"tls":"none","user"`), `spec.to.email.tls: none would send in the clear, expected starttls or implicit`},
		{mail(`"user":"ringfence",`, ``), `spec.to.email.passwordFile: only one of them is given, expected both`},
		{mail(`"mail/password"`, `"/etc/shadow"`), `spec.to.email.passwordFile: got "/etc/shadow"`},
		{mail(`ringfence@example.com`, `Ringfence <ringfence@example.com>`), `spec.to.email.from: got`},
		{mail(`shop@example.com`, `shop@example.com\r\nBcc: eve@example.org`), `spec.to.email.to[0]: got`},
		{mail(`["shop@example.com"]`, `["a@b","a@b"]`), `spec.to.email.to[1]: "a@b" stands twice`},
	} {
		ps := judged(t, tt.spec)
		if len(ps) == 0 {
			t.Errorf("not refused: %s, expected %s", tt.spec, tt.want)
		} else if got := ps[0].Text(); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s\n got %s\nwant %s", tt.spec, got, tt.want)
		}
		for _, p := range ps {
			if strings.Contains(p.Text(), "secret@") {
				t.Errorf("a password is told: %s", p.Text())
			}
		}
	}
}

func TestNotifierDefaults(t *testing.T) {
	email := EmailTo{Server: "a:25"}
	n := Notifier{To: Receiver{Email: &email}}.Defaults()
	if n.Group.D(0) != 30*time.Second || n.Timeout.D(0) != 10*time.Second || n.GiveUp.D(0) != 24*time.Hour || n.To.Email.TLS != "starttls" || email.TLS != "" {
		t.Errorf("%+v, %+v", n, email)
	}
	if d := cmp.Diff(DefaultEvents, n.Events); d != "" {
		t.Error(d)
	}
	if n := (Notifier{To: Receiver{Webhook: &WebhookTo{}}}).Defaults(); n.Group != 0 {
		t.Errorf("a webhook waits %s", n.Group)
	}
}

func TestChannels(t *testing.T) {
	for want, r := range map[string]Receiver{
		"slack": {Slack: &SlackTo{}}, "teams": {Teams: &TeamsTo{}}, "email": {Email: &EmailTo{}}, "webhook": {Webhook: &WebhookTo{}},
		"": {Slack: &SlackTo{}, Email: &EmailTo{}},
	} {
		if got := r.Channel(); got != want {
			t.Errorf("got %q, expected %q", got, want)
		}
	}
}
