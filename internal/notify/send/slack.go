package send

import (
	"context"
	"strings"

	"github.com/slack-go/slack"

	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/resource"
)

// What Slack takes at most, in characters.
const (
	slackHeader = 150
	slackText   = 3000
	slackField  = 2000
)

func (s *Sender) slack(ctx context.Context, to *resource.SlackTo, m notify.Message, hidden *hidden) error {
	address, err := s.address(to.URLFile, hidden)
	if err != nil {
		return err
	}
	x := &exchange{by: s}
	err = slack.PostWebhookCustomHTTPContext(ctx, address, x.client(), &slack.WebhookMessage{
		Text: escaped(titled(m)), Blocks: &slack.Blocks{BlockSet: slackBlocks(m)},
	})
	return x.outcome(hostOf(address), err)
}

// slackBlocks are the message in plain text, in which Slack finds neither mentions nor links, but for our own link.
func slackBlocks(m notify.Message) []slack.Block {
	text := func(s string, most int) *slack.TextBlockObject {
		return slack.NewTextBlockObject(slack.PlainTextType, shortened(s, most), false, false)
	}
	blocks := []slack.Block{slack.NewHeaderBlock(text(titled(m), slackHeader))}
	if m.Repeat {
		blocks = append(blocks, slack.NewContextBlock("", text(repeated, slackText)))
	}
	var fields []*slack.TextBlockObject
	for _, f := range m.Facts[:min(len(m.Facts), 10)] {
		fields = append(fields, text(f.Name+"\n"+f.Value, slackField))
	}
	switch {
	case m.Why != "":
		blocks = append(blocks, slack.NewSectionBlock(text(m.Why, slackText), fields, nil))
	case len(fields) > 0:
		blocks = append(blocks, slack.NewSectionBlock(nil, fields, nil))
	}
	if lines := history(m); len(lines) > 0 {
		blocks = append(blocks, slack.NewSectionBlock(text(strings.Join(lines, "\n"), slackText), nil, nil))
	}
	if m.Next != "" {
		blocks = append(blocks, slack.NewSectionBlock(text(m.Next, slackText), nil, nil))
	}
	if m.Link != "" {
		link := slack.NewTextBlockObject(slack.MarkdownType, "<"+escaped(m.Link)+"|Open in Ringfence>", false, true)
		blocks = append(blocks, slack.NewContextBlock("", link))
	}
	return blocks
}

// escaped is text in which Slack finds no markup.
func escaped(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// shortened counts characters, as Slack does.
func shortened(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
