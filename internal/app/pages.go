package app

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/calendar"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/ui"
)

// almanac fits the calendar to the pages.
type almanac struct{}

func (almanac) Between(w resource.Window, from, to time.Time, limit int) []ui.Span {
	var all []ui.Span
	for _, s := range calendar.Between(w, from, to, limit) {
		all = append(all, ui.Span(s))
	}
	return all
}

func (almanac) Export(w io.Writer, title, domain string, now time.Time, windows []ui.NamedWindow) error {
	feed := calendar.Feed{Title: title, Domain: domain, Now: now}
	for _, n := range windows {
		feed.Windows = append(feed.Windows, calendar.Named(n))
	}
	return calendar.ExportICS(w, feed)
}

// lastGood is what a redeployment of a service would bring back, "" for nothing.
func (s *server) lastGood(ctx context.Context, service string) (string, error) {
	live, err := s.controller.Live(ctx, service)
	for _, v := range slices.Backward(live.Good) {
		if _, bad := live.Bad[v]; !bad && v != live.Stable {
			return v, err
		}
	}
	return "", err
}
