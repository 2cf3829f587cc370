package ui

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
)

// Lab runs experiments.
type Lab interface {
	List(ctx context.Context) ([]lab.Run, error)
	Read(ctx context.Context, name string, step time.Duration, now time.Time) (lab.Report, error)
	Start(ctx context.Context, actor, name string, baseline *lab.Baseline, now time.Time) (lab.Run, error)
	Stop(ctx context.Context, actor, name, ship, reason string, now time.Time) (lab.Run, error)
}

// experimentRoutes are the pages of experiments. They are authorised as the API is.
func (s *Server) experimentRoutes() {
	if s.Lab == nil {
		return
	}
	s.mux.HandleFunc("GET /experiments", s.signed(policy.Read, s.experiments))
	s.mux.HandleFunc("GET /experiments/{experiment}", s.signed(policy.Read, s.experiment))
	s.mux.HandleFunc("GET /experiments/{experiment}/series", s.signed(policy.Read, s.experimentSeries))
	s.deed("/experiments/{experiment}/start", s.startExperiment())
	s.deed("/experiments/{experiment}/stop", s.stopExperiment())
	s.deed("/experiments/{experiment}/ship", s.shipExperiment())
}

// experimentRow is an experiment in the list.
type experimentRow struct {
	lab.Run
	Link    string
	Tone    string
	Word    string // what it comes to
	Users   headcount
	Primary string
	Effects []effectView
}

type experimentsPage struct {
	*visit
	Rows    []experimentRow
	Running int
}

func (s *Server) experiments(w http.ResponseWriter, r *http.Request, v *visit) error {
	v.Title, v.Live = "Experiments", "experiments"
	runs, err := s.Lab.List(r.Context())
	if err != nil {
		return err
	}
	p := &experimentsPage{visit: v}
	for _, run := range runs {
		row := experimentRow{Run: run, Link: experimentURL(run.Experiment, "")}
		row.Tone, row.Word = wordOf(run, run.Report)
		if run.Phase == lab.Running {
			p.Running++
		}
		if run.Report != nil {
			row.Users = headcountOf(run, run.Report.Progress)
			primary := run.Report.Metrics[0]
			row.Primary = primary.Name
			row.Effects = effectsOf(primary, func(string) string { return "" }, forestOf([]experiment.MetricReport{primary}))
		}
		p.Rows = append(p.Rows, row)
	}
	order := map[lab.Phase]int{lab.Running: 0, lab.Draft: 1, lab.Ended: 2}
	slices.SortStableFunc(p.Rows, func(a, b experimentRow) int {
		return cmp.Or(cmp.Compare(order[a.Phase], order[b.Phase]), b.Ended.Compare(a.Ended))
	})
	return s.show(w, r, http.StatusOK, "experiments", p)
}

// wordOf is what an experiment comes to, in a word with its tone.
func wordOf(run lab.Run, report *experiment.Report) (tone, word string) {
	if run.Phase == lab.Draft {
		return "calm", "not begun"
	}
	if report == nil {
		return "wait", "not read yet"
	}
	switch d := report.Reading.Decision; d {
	case experiment.Ship:
		return "pass", "ship"
	case experiment.Stop:
		return "fail", "stop"
	case experiment.Broken:
		return "hold", "broken"
	default:
		if run.Phase == lab.Ended {
			return "gone", "undecided"
		}
		return "wait", string(d)
	}
}

// headcount is how far the users are beside the plan.
type headcount struct {
	Users, Planned int64
	Share          float64 // of the plan, in the variant furthest behind; of the time when nothing is planned
	X              float64 // of 100
}

func headcountOf(run lab.Run, p experiment.Progress) headcount {
	return headcount{Users: p.Users, Planned: p.Planned, Share: p.Share, X: 100 * min(1, max(0, p.Share))}
}

// subjectOfExperiment is the flag that it is about.
func subjectOfExperiment(e resource.Experiment) flag.Subject {
	return flag.Subject{Set: e.Set(), Key: e.Key(), Environment: cmp.Or(e.Environment, flag.Production)}
}
