package send_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// sent sends a message and returns the body of the request.
func sent(t *testing.T, channel string, m notify.Message) []byte {
	t.Helper()
	c := channels[channel]
	f := newFake(t, c.good)
	if got := try(t, sender(t, f.URL), c.to(f.URL), m, 10*time.Second); got != nil {
		t.Fatal(got)
	}
	return f.all()[0].body
}

func cloudEvent(t *testing.T, ev notify.Event) (event.Event, map[string]any) {
	t.Helper()
	m := message()
	m.Events = []notify.Event{ev}
	body := sent(t, "webhook", m)
	var e event.Event
	if err := json.Unmarshal(body, &e); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if err := e.Validate(); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	var data map[string]any
	if err := e.DataAs(&data); err != nil {
		t.Fatal(err)
	}
	return e, data
}

func TestCloudEvent(t *testing.T) {
	ev := message().Events[0]
	ev.Type = rollout.EvHalted
	e, data := cloudEvent(t, ev)
	got := []string{e.SpecVersion(), e.Type(), e.ID(), e.Source(), e.Subject(), e.Time().Format(time.RFC3339), e.DataContentType(), e.Extensions()["sequence"].(string)}
	want := []string{"1.0", "dev.ringfence.rollout.halted", ev.ID, "https://ringfence.example.com", "shop", "2026-03-01T12:00:05Z", "application/json", "42"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	wantData := map[string]any{
		"seq": 42.0, "time": "2026-03-01T12:00:05Z", "type": "rollout.halted", "actor": "system:controller", "subject": "rollout/shop-7", "hash": ev.Hash,
		"text": "Everyone has v2 again", "service": "shop", "rollout": "shop-7", "plan": "standard", "from": "v2@c1", "to": "v3",
		"digest": "sha256:" + strings.Repeat("a", 64), "units": []any{"eu", "us"}, "releasedBy": "user:ann", "link": "https://ringfence.example.com/rollouts/shop-7",
		"data": map[string]any{"to": "v2", "users": 118.0},
	}
	if d := cmp.Diff(wantData, data); d != "" {
		t.Error(d)
	}
}

func TestCDEvents(t *testing.T) {
	for name, tt := range map[string]struct {
		change   func(*notify.Event)
		typ      string
		artifact any
	}{
		"first release":                 {func(e *notify.Event) { e.Type, e.From = rollout.EvSucceeded, "" }, "dev.cdevents.service.deployed.0.3.0", "pkg:generic/shop@v3?checksum=sha256:" + strings.Repeat("a", 64)},
		"upgrade":                       {func(e *notify.Event) { e.Type, e.To, e.Digest = rollout.EvSucceeded, "v3+1@c2", "" }, "dev.cdevents.service.upgraded.0.3.0", "pkg:generic/shop@v3%2B1"},
		"rollback":                      {func(e *notify.Event) {}, "dev.cdevents.service.rolledback.0.3.0", "pkg:generic/shop@v2?checksum=sha256:" + strings.Repeat("a", 64)},
		"redeploy":                      {func(e *notify.Event) { e.Type, e.Lane, e.Digest = rollout.EvSucceeded, "redeploy", "" }, "dev.cdevents.service.rolledback.0.3.0", "pkg:generic/shop@v3"},
		"rollback of the first release": {func(e *notify.Event) { e.From = "" }, "dev.cdevents.service.removed.0.3.0", nil},
		"deletion":                      {func(e *notify.Event) { e.Type, e.Subject, e.Units = "resource.deleted", "service/shop", nil }, "dev.cdevents.service.removed.0.3.0", nil},
	} {
		t.Run(name, func(t *testing.T) {
			ev := message().Events[0]
			tt.change(&ev)
			e, data := cloudEvent(t, ev)
			if e.Type() != tt.typ || e.ID() != ev.ID {
				t.Errorf("type %s", e.Type())
			}
			environment := strings.Join(ev.Units, ",")
			if environment == "" {
				environment = "local"
			}
			content := map[string]any{"environment": map[string]any{"id": environment}}
			if tt.artifact != nil {
				content["artifactId"] = tt.artifact
			}
			custom, _ := data["customData"].(map[string]any)
			delete(data, "customData")
			want := map[string]any{
				"context":               map[string]any{"specversion": "0.5.0", "id": ev.ID, "source": "https://ringfence.example.com", "type": tt.typ, "timestamp": "2026-03-01T12:00:05Z"},
				"subject":               map[string]any{"id": "shop", "source": "https://ringfence.example.com", "content": content},
				"customDataContentType": "application/json",
			}
			if d := cmp.Diff(want, data); d != "" {
				t.Error(d)
			}
			if custom["type"] != ev.Type || custom["hash"] != ev.Hash {
				t.Errorf("custom data %v", custom)
			}
		})
	}
}

// A repeat is the same, byte for byte, so that also those who compare bodies see it.
func TestRepeatsAreTheSame(t *testing.T) {
	m := message()
	first := sent(t, "webhook", m)
	m.Repeat = true
	if d := cmp.Diff(string(first), string(sent(t, "webhook", m))); d != "" {
		t.Error(d)
	}
}

func TestSlackMessage(t *testing.T) {
	m := message()
	m.Repeat = true
	body := string(sent(t, "slack", m))
	var got struct {
		Text   string
		Blocks []struct {
			Type string
			Text struct{ Type, Text string }
		}
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Text != "🛑 shop v3: rolled back to v2" || len(got.Blocks) < 5 || got.Blocks[0].Type != "header" {
		t.Errorf("%+v", got)
	}
	for _, b := range got.Blocks {
		if b.Text.Type == "mrkdwn" {
			t.Errorf("what others wrote stands in markup: %s", b.Text.Text)
		}
	}
	for _, part := range []string{"This may be a repeat", "118", "12:00:10  Everyone has v2 again", "Release a fixed version.",
		`\u003chttps://ringfence.example.com/rollouts/shop-7|Open in Ringfence\u003e`} {
		if !strings.Contains(body, part) {
			t.Errorf("%s lacks %s", body, part)
		}
	}
	m.Title, m.Why = "<!here> "+strings.Repeat("ü", 500), strings.Repeat("ü", 5000)
	body = string(sent(t, "slack", m))
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if n := len([]rune(got.Blocks[0].Text.Text)); n != 150 || !strings.HasPrefix(got.Text, "🛑 &lt;!here&gt;") {
		t.Errorf("a header of %d, %s", n, got.Text)
	}
}

func TestTeamsMessage(t *testing.T) {
	m := message()
	m.Repeat = true
	body := sent(t, "teams", m)
	var got struct {
		Type        string
		Attachments []struct {
			ContentType string
			Content     struct {
				Type, Version string
				Body          []struct {
					Type, Text, Color string
					Facts             []struct{ Title, Value string }
				}
				Actions []struct{ Type, URL string }
			}
		}
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if got.Type != "message" || len(got.Attachments) != 1 || got.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive" {
		t.Fatalf("%s", body)
	}
	card := got.Attachments[0].Content
	if len(card.Body) != 6 || card.Body[0].Text != "🛑 shop v3: rolled back to v2" || card.Body[0].Color != "attention" || len(card.Body[3].Facts) != 2 {
		t.Errorf("%+v", card.Body)
	}
	if len(card.Actions) != 1 || card.Actions[0].URL != m.Link {
		t.Errorf("%+v", card.Actions)
	}
	for _, b := range card.Body {
		if strings.Contains(b.Text, "](") || strings.Contains(b.Text, "<") {
			t.Errorf("a link of somebody else: %s", b.Text)
		}
	}
	if m.Link = ""; len(sent(t, "teams", m)) == 0 || len(sent(t, "slack", m)) == 0 {
		t.Error("nothing without a link")
	}
}

// Teams' answers of 200 are of connectors of old, which say 1, or of gateways, which say nothing.
func TestTeamsAnswers(t *testing.T) {
	for said, taken := range map[string]bool{"": true, "1": true, "Microsoft Teams endpoint returned HTTP error 429": false} {
		f := newFake(t, sayer(said))
		got := try(t, sender(t, f.URL), resource.Receiver{Teams: &resource.TeamsTo{URLFile: "url"}}, message(), 10*time.Second)
		if (got == nil) != taken || got != nil && !got.Unsure {
			t.Errorf("%q: %v", said, got)
		}
	}
}
