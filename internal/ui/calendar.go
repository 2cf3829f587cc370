package ui

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

const (
	day        = 24 * time.Hour
	mostSpans  = 200 // times of one freeze in one picture
	mostBlocks = 500
	dateForm   = "2006-01-02"
)

// block is one stretch of time in the calendar.
type block struct {
	Kind       string // freeze, bake, soon, past
	Name, Text string // as it is drawn, and as it is told
	Whom, Link string
	Start, End time.Time
}

type calendarPage struct {
	*visit
	Week             bool
	Heading          string
	Before, After    string // addresses
	Today, Other     string
	Weeks            []weekArt
	Agenda           []block
	More             int // not told of
	Hours            []hoursView
	Freezes, Flights int
}

// hoursView is when rings of some plans may be entered.
type hoursView struct {
	Text, Of string
	hours    resource.Hours
}

func (s *Server) calendar(w http.ResponseWriter, r *http.Request, v *visit) error {
	p := &calendarPage{visit: v, Week: r.URL.Query().Get("view") == "week"}
	v.Title, v.Live = "Calendar", "all"
	at := v.Now.UTC()
	if text := r.URL.Query().Get("at"); text != "" {
		var err error
		if at, err = time.Parse(dateForm, text); err != nil || at.Year() < 2000 || at.Year() > 2150 {
			return errs.E(errs.Invalid, "at: got %.40q, expected a day such as 2026-12-20", text)
		}
	}
	from, to := p.shown(at)
	blocks, err := s.blocks(r.Context(), v.Now, from, to)
	if err != nil {
		return err
	}
	if p.Hours, err = s.allHours(r.Context()); err != nil {
		return err
	}
	for monday := from; monday.Before(to); monday = monday.AddDate(0, 0, 7) {
		month := at.Month()
		if p.Week {
			month = 0
		}
		p.Weeks = append(p.Weeks, drawWeek(monday, month, v.Now, blocks, p.Hours, p.Week))
	}
	p.Agenda = blocks
	if p.More = len(blocks) - mostAgenda; p.More > 0 {
		p.Agenda = blocks[:mostAgenda]
	}
	for _, b := range blocks {
		switch b.Kind {
		case "freeze":
			p.Freezes++
		case "bake":
			p.Flights++
		}
	}
	return s.show(w, r, http.StatusOK, "calendar", p)
}

const mostAgenda = 60

// shown is what the picture shows: whole weeks, which begin on Mondays.
func (p *calendarPage) shown(at time.Time) (from, to time.Time) {
	link := func(t time.Time, week bool) string {
		if week {
			return "/calendar?view=week&at=" + t.Format(dateForm)
		}
		return "/calendar?at=" + t.Format(dateForm)
	}
	p.Other = link(at, !p.Week)
	p.Today = link(p.Now.UTC(), p.Week)
	if p.Week {
		from = monday(at)
		p.Heading = from.Format("2 January") + " to " + from.AddDate(0, 0, 6).Format("2 January 2006")
		p.Before, p.After = link(from.AddDate(0, 0, -7), true), link(from.AddDate(0, 0, 7), true)
		return from, from.AddDate(0, 0, 7)
	}
	first := time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
	p.Heading = first.Format("January 2006")
	p.Before, p.After = link(first.AddDate(0, -1, 0), false), link(first.AddDate(0, 1, 0), false)
	return monday(first), monday(first.AddDate(0, 1, -1)).AddDate(0, 0, 7)
}

// monday is the beginning of a week.
func monday(t time.Time) time.Time {
	y, m, d := t.UTC().Date()
	t = time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	return t.AddDate(0, 0, -(int(t.Weekday())+6)%7)
}

// blocks are freezes and bakes that lie at least partly in some time, in its order.
func (s *Server) blocks(ctx context.Context, now, from, to time.Time) ([]block, error) {
	freezes, err := s.freezes(ctx)
	if err != nil {
		return nil, err
	}
	var all []block
	for _, f := range freezes {
		for _, span := range s.Calendar.Between(f.When, from, to, mostSpans) {
			all = append(all, block{Kind: "freeze", Name: f.Name, Text: f.Reason, Whom: whom(f.Freeze), Start: span.Start, End: span.End})
		}
	}
	states, err := s.Rollouts.List(ctx, "")
	if err != nil {
		return nil, err
	}
	concerns := map[string][]resource.NamedFreeze{}
	for _, st := range states {
		if st.Phase.Ended() && st.Ended.Before(from) || len(all) > mostBlocks {
			continue
		}
		all = append(all, bakesOf(st, now)...)
		if st.Phase.Ended() {
			continue
		}
		if _, known := concerns[st.Service]; !known {
			if full, err := s.Catalog.Resolve(ctx, st.Service); err == nil {
				concerns[st.Service] = full.Freezes
			}
		}
		all = append(all, s.expected(st, now, concerns[st.Service])...)
	}
	all = slices.DeleteFunc(all, func(b block) bool { return !b.End.After(from) || !b.Start.Before(to) })
	slices.SortStableFunc(all, func(a, b block) int { return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Name, b.Name)) })
	return all, nil
}

func whom(f resource.Freeze) string {
	parts := slices.Clone(f.Services)
	for k, v := range f.Labels {
		parts = append(parts, k+"="+v)
	}
	if len(parts) == 0 {
		return "all services"
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func (s *Server) freezes(ctx context.Context) ([]resource.NamedFreeze, error) {
	var out []resource.NamedFreeze
	err := s.each(ctx, resource.KindFreeze, func(r resource.Resource) error {
		f, err := resource.As[resource.Freeze](r)
		out = append(out, resource.NamedFreeze{Name: r.Metadata.Name, Freeze: f})
		return err
	})
	return out, err
}

// each goes through all resources of a kind.
func (s *Server) each(ctx context.Context, kind string, do func(resource.Resource) error) error {
	for after := ""; ; {
		list, err := s.Catalog.List(ctx, kind, after, 0)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, r := range list {
			after = r.Metadata.Name
			if err := do(r); err != nil {
				return err
			}
		}
	}
}

// bakesOf are the times that a rollout has spent in rings, the current one until its bake ends.
func bakesOf(st rollout.State, now time.Time) []block {
	var all []block
	for i, stage := range st.Stages {
		if stage.Baking.IsZero() {
			continue
		}
		b := block{Kind: "past", Name: labelOf(st.Service) + " " + st.To + " " + stage.Ring, Text: toOf(st) + " in ring " + stage.Ring, Whom: labelOf(st.Service), Link: "/rollouts/" + st.ID,
			Start: stage.Baking, End: stage.Left}
		switch {
		case i == len(st.Stages)-1 && st.Phase == rollout.Baking:
			b.Kind, b.End = "bake", stage.Baking.Add(time.Duration(st.Rings[st.Ring].Bake))
			if b.End.Before(now) {
				b.End = now // it waits for something else
			}
			b.Text = toOf(st) + " bakes in ring " + stage.Ring
		case b.End.IsZero():
			b.End = st.Ended
			if b.End.IsZero() {
				b.End = now
			}
		}
		if st.Phase == rollout.RolledBack && i == len(st.Stages)-1 {
			b.Text += ", taken back"
		}
		if b.End.After(b.Start) {
			all = append(all, b)
		}
	}
	return all
}

// expected are the bakes to come when nothing is in the way but hours and freezes: the earliest that they can be.
func (s *Server) expected(st rollout.State, now time.Time, freezes []resource.NamedFreeze) []block {
	at := now
	switch {
	case st.Paused || st.Halted || st.Phase == rollout.RollingBack:
		return nil
	case st.Phase == rollout.Baking && len(st.Stages) > 0:
		if end := st.Stages[len(st.Stages)-1].Baking.Add(time.Duration(st.Rings[st.Ring].Bake)); end.After(now) {
			at = end
		}
	case st.Phase == rollout.Exposing:
		at = now.Add(time.Duration(st.Rings[st.Ring].Bake))
	}
	var all []block
	for i := max(st.Ring+1, st.Entry); i < len(st.Rings)-st.Spared; i++ {
		ring := st.Rings[i]
		at = s.opens(at, ring, st, freezes)
		if at.IsZero() {
			return all
		}
		b := block{Kind: "soon", Name: labelOf(st.Service) + " " + st.To + " " + ring.Name, Text: toOf(st) + " in ring " + ring.Name + ", at the earliest", Whom: labelOf(st.Service),
			Link: "/rollouts/" + st.ID, Start: at, End: at.Add(time.Duration(ring.Bake))}
		if ring.Approval != nil {
			b.Text += ", once approved"
		}
		if ring.CoverPeak {
			b.Text += ", until the peak is covered"
		}
		all, at = append(all, b), b.End
	}
	return all
}

// opens is when a ring may be entered, as far as its hours and the freezes are known; zero when that does not come.
func (s *Server) opens(at time.Time, ring rollout.Ring, st rollout.State, freezes []resource.NamedFreeze) time.Time {
	for range 100 {
		was := at
		if ring.Hours != nil && st.Lane == "" {
			if open, next := rollout.Hours(*ring.Hours).Open(at); !open {
				if at = next; at.IsZero() {
					return at
				}
			}
		}
		for _, f := range freezes {
			if st.Through {
				break
			}
			for _, span := range s.Calendar.Between(f.When, at, at.Add(time.Minute), 10) {
				if !span.Start.After(at) && span.End.After(at) {
					at = span.End
				}
			}
		}
		if at.Equal(was) {
			break
		}
	}
	return at
}

// allHours are the business hours of all plans, each once.
func (s *Server) allHours(ctx context.Context) ([]hoursView, error) {
	var out []hoursView
	err := s.each(ctx, resource.KindRingPlan, func(r resource.Resource) error {
		plan, err := resource.As[resource.RingPlan](r)
		if err != nil {
			return err
		}
		for _, ring := range plan.Defaults().Rings {
			if ring.Hours == nil {
				continue
			}
			text, of := hoursText(*ring.Hours), r.Metadata.Name+"/"+ring.Name
			if i := slices.IndexFunc(out, func(h hoursView) bool { return h.Text == text }); i >= 0 {
				out[i].Of += ", " + of
				continue
			}
			out = append(out, hoursView{Text: text, Of: of, hours: *ring.Hours})
		}
		return nil
	})
	return out, err
}

func hoursText(h resource.Hours) string {
	days := "mon to fri"
	if len(h.Days) > 0 {
		days = strings.Join(h.Days, ", ")
	}
	return sentenceStart(fmt.Sprintf("%s, %s to %s %s", days, cmp.Or(h.From, "09:00"), cmp.Or(h.To, "17:00"), cmp.Or(h.Zone, "UTC")))
}

// windowTime is how windows write their times, and longestWindow how long they may be.
const (
	windowTime    = "2006-01-02T15:04"
	longestWindow = 60 * day
)

// feed is the calendar for other programs: freezes with their rules, and the bakes of rollouts in flight.
func (s *Server) feed(w http.ResponseWriter, r *http.Request, v *visit) error {
	freezes, err := s.freezes(r.Context())
	if err != nil {
		return err
	}
	var windows []NamedWindow
	for _, f := range freezes {
		windows = append(windows, NamedWindow{Name: "freeze-" + f.Name, Reason: "Freeze " + f.Name + ": " + f.Reason, Window: f.When})
	}
	blocks, err := s.blocks(r.Context(), v.Now, v.Now.Add(-day), v.Now.Add(90*day))
	if err != nil {
		return err
	}
	for _, b := range blocks {
		start, end := b.Start.UTC().Truncate(time.Minute), b.End.UTC().Truncate(time.Minute)
		if b.Kind == "freeze" || b.Kind == "past" || !end.After(start) || end.Sub(start) > longestWindow {
			continue
		}
		windows = append(windows, NamedWindow{Name: strings.ReplaceAll(b.Name, " ", "-"), Reason: b.Whom + ": " + b.Text,
			Window: resource.Window{Start: start.Format(windowTime), End: end.Format(windowTime)}})
	}
	var out bytes.Buffer
	if err := s.Calendar.Export(&out, "Ringfence", "ringfence", v.Now, windows); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/calendar; charset=utf-8")
	w.Header().Set("Content-Disposition", `inline; filename="ringfence.ics"`)
	_, _ = w.Write(out.Bytes())
	return nil
}

// subscribed lets a program that follows the calendar in by a token in place of a session: as a bearer, or as the
// password that calendars can be given.
func (s *Server) subscribed(h handler) http.HandlerFunc {
	signed := s.signed(policy.Read, h)
	return func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, password, ok := r.BasicAuth(); ok {
			token = password
		}
		if token == "" {
			signed(w, r)
			return
		}
		s.open(func(w http.ResponseWriter, r *http.Request, v *visit) error {
			who, err := s.Access.SignIn(r.Context(), token)
			if err == nil {
				err = s.authorised(r, who, policy.Read)
			}
			if err != nil {
				return err
			}
			v.Who = who
			return h(w, r, v)
		})(w, r)
	}
}
