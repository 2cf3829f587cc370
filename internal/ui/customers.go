package ui

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/ringfence/ringfence/internal/account"
	"github.com/ringfence/ringfence/internal/clientele"
	"github.com/ringfence/ringfence/internal/errs"
)

// Customers say how the accounts of services fare.
type Customers interface {
	Report(ctx context.Context, service string, q clientele.Asked) (account.Report, error)
}

// shownCustomers are the accounts that a page shows: those with most bad minutes.
const shownCustomers = 8

// customersView are the accounts of a service that had bad minutes.
type customersView struct {
	account.Report
	Long    string // the time that is looked at
	Command string // says the same at the command line
	Rows    []customerRow
	More    int
}

// customerRow is one of them.
type customerRow struct {
	account.Fared
	Cells      []heatCell
	Wide       int    // of the strip
	Says       string // the strip in words
	WorstAt    string
	WorstLogs  string // address of the logs of the worst minute, where most of it was
	Places     string
	Burns      string
	GoodMonths string
}

// heatCell is one part of the time in a strip.
type heatCell struct {
	X, Level int // 0 for no bad minute, to 4
	Title    string
}

// customers asks how the accounts of a service fared; nil when it counts none.
func (s *Server) customers(ctx context.Context, service string, since time.Duration) (*customersView, error) {
	if s.Customers == nil {
		return nil, nil
	}
	since = min(max(since, time.Hour), account.Window)
	report, err := s.Customers.Report(ctx, service, clientele.Asked{Since: since, Limit: shownCustomers})
	if errs.Is(err, errs.Missing) { // its route does not say whose requests are
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v := &customersView{Report: report, Long: span(since), Command: fmt.Sprintf("ringfence slo customers %s --since %.0fh", service, since.Hours())}
	for _, a := range report.Accounts {
		if a.Bad > 0 {
			v.Rows = append(v.Rows, s.customerRowOf(report, a))
		}
	}
	v.More = max(0, report.WithBad-len(v.Rows))
	return v, nil
}

func (s *Server) customerRowOf(report account.Report, a account.Fared) customerRow {
	row := customerRow{Fared: a, Wide: 5 * len(a.Strip), Places: placesText(a.Where), GoodMonths: fmt.Sprintf("%.2f %%", a.Budget.Good)}
	if a.Burn > 0 {
		row.Burns = fmt.Sprintf("%.1f×", a.Burn)
	}
	row.Says = fmt.Sprintf("%s: %s, the latest at %s", a.Account, plural(int64(a.Bad), "bad minute", "bad minutes"), a.Last.UTC().Format("2 Jan 15:04"))
	step := time.Duration(report.StripStep) * time.Minute
	for i, n := range a.Strip {
		c := heatCell{X: 5 * i}
		if n > 0 {
			at := report.Since.Add(time.Duration(i) * step).UTC()
			c.Level = 1
			for _, part := range []int{12, 4, 2} { // an hour with a few bad minutes shall be seen, too
				if n*part > report.StripStep {
					c.Level++
				}
			}
			c.Title = fmt.Sprintf("%s, %s: %s", at.Format("2 Jan 15:04"), span(step), plural(int64(n), "bad minute", "bad minutes"))
		}
		row.Cells = append(row.Cells, c)
	}
	if a.Worst == nil {
		return row
	}
	row.WorstAt = fmt.Sprintf("%s (%d of %d)", a.Worst.At.UTC().Format("2 Jan 15:04"), a.Worst.Bad, a.Worst.Requests)
	if s.LogStore != nil {
		q := url.Values{"service": {report.Service}, "from": {a.Worst.At.UTC().Format(time.RFC3339)}, "to": {a.Worst.At.Add(time.Minute).UTC().Format(time.RFC3339)}}
		if len(a.Where) == 1 {
			q.Set("version", a.Where[0].Version)
		}
		row.WorstLogs = "/explore?" + q.Encode()
	}
	return row
}

// placesText says where the bad requests were, as ringfence slo customers does.
func placesText(all []account.Where) string {
	text := ""
	for i, w := range all[:min(3, len(all))] {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s/%s %d", w.Version, w.Ring, w.Bad)
	}
	return text
}
