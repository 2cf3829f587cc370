package send

import (
	"context"
	"strings"

	goteamsnotify "github.com/atc0005/go-teams-notify/v2"
	"github.com/atc0005/go-teams-notify/v2/adaptivecard"

	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/resource"
)

func (s *Sender) teams(ctx context.Context, to *resource.TeamsTo, m notify.Message, hidden *hidden) error {
	address, err := s.address(to.URLFile, hidden)
	if err != nil {
		return err
	}
	card, err := teamsCard(m)
	if err != nil {
		return err
	}
	x := &exchange{by: s}
	client := goteamsnotify.NewTeamsClient().SetHTTPClient(x.client()).SkipWebhookURLValidationOnSend(true).SetUserAgent(s.agent())
	err = client.SendWithContext(ctx, address, card)
	// A workflow answers 202, one behind a gateway also 200 without a word. The library takes 200 for the answer of a
	// connector of old, which says 1.
	if x.status/100 == 2 && len(strings.TrimSpace(string(x.body))) == 0 {
		err = nil
	}
	return x.outcome(hostOf(address), err)
}

var teamsColors = map[notify.Mood]string{
	notify.Good: adaptivecard.ColorGood, notify.Warn: adaptivecard.ColorWarning, notify.Bad: adaptivecard.ColorAttention, notify.Calm: adaptivecard.ColorDefault,
}

func teamsCard(m notify.Message) (*adaptivecard.Message, error) {
	card := adaptivecard.NewCard()
	card.SetFullWidth()
	title := adaptivecard.NewTitleTextBlock(unlinked(titled(m)), true)
	title.Color = teamsColors[m.Mood]
	body := []adaptivecard.Element{title}
	if m.Repeat {
		note := adaptivecard.NewTextBlock(repeated, true)
		note.IsSubtle = true
		body = append(body, note)
	}
	if m.Why != "" {
		body = append(body, adaptivecard.NewTextBlock(unlinked(m.Why), true))
	}
	if len(m.Facts) > 0 {
		set := adaptivecard.NewFactSet()
		for _, f := range m.Facts {
			set.Facts = append(set.Facts, adaptivecard.Fact{Title: f.Name, Value: unlinked(f.Value)})
		}
		body = append(body, adaptivecard.Element(set))
	}
	if lines := history(m); len(lines) > 0 {
		for i, l := range lines {
			lines[i] = unlinked(l)
		}
		body = append(body, adaptivecard.NewTextBlock(strings.Join(lines, "\n\n"), true))
	}
	if m.Next != "" {
		next := adaptivecard.NewTextBlock(unlinked(m.Next), true)
		next.Weight = adaptivecard.WeightBolder
		body = append(body, next)
	}
	if err := card.AddElement(false, body...); err != nil {
		return nil, err
	}
	if m.Link != "" {
		open, err := adaptivecard.NewActionOpenURL(m.Link, "Open in Ringfence")
		if err != nil {
			return nil, err
		}
		if err := card.AddAction(false, open); err != nil {
			return nil, err
		}
	}
	return adaptivecard.NewMessageFromCard(card)
}

// unlinked takes the form of a Markdown link, and of a mention, out of a text.
func unlinked(s string) string {
	return strings.NewReplacer("](", "] (", "<", "‹", ">", "›").Replace(s)
}
