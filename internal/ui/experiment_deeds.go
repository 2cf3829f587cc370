package ui

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/internal/resource"
)

// experimentQuestion begins a question about an experiment, of which it returns the newest run.
func (s *Server) experimentQuestion(r *http.Request) (lab.Run, question, error) {
	name := r.PathValue("experiment")
	all, err := s.Lab.List(r.Context())
	if err != nil {
		return lab.Run{}, question{}, err
	}
	for _, run := range all {
		if run.Experiment == name {
			return run, question{Back: experimentURL(name, "")}, nil
		}
	}
	return lab.Run{}, question{}, errs.E(errs.Missing, "there is no experiment %q", name)
}

func (s *Server) startExperiment() deed {
	return deed{
		ask: func(r *http.Request, _ *visit) (question, error) {
			run, q, err := s.experimentQuestion(r)
			if err != nil {
				return q, err
			}
			declared, err := s.Catalog.Get(r.Context(), resource.KindExperiment, run.Experiment)
			if err != nil {
				return q, err
			}
			spec, err := resource.As[resource.Experiment](declared)
			if err != nil {
				return q, err
			}
			q.Ask, q.Button, q.Silent = "Begin "+run.Experiment+"?", "Begin", true
			q.Text = "From now on the variants of " + spec.Flag + " are given by chance. Takes part: " + takesPart(spec) + "."
			if spec.Users == 0 {
				q.Text += " With what is known of " + cmp.Or(spec.Primary.Name, spec.Primary.Event) + ", it is planned how many users it takes to see " + effectWanted(spec) + "."
				q.Inputs = baselineInputs(spec)
			}
			return q, nil
		},
		do: func(r *http.Request, v *visit, _ string) error {
			baseline, err := baselineOf(r)
			if err != nil {
				return err
			}
			_, err = s.Lab.Start(r.Context(), v.Who.Actor(), r.PathValue("experiment"), baseline, v.Now)
			return err
		},
	}
}

// effectWanted is the smallest effect worth seeing.
func effectWanted(e resource.Experiment) string {
	return percent(cmp.Or(e.Primary.MinimumEffect, lab.DefaultEffect)) + " more or less"
}

// baselineInputs are what can be said of the primary metric.
func baselineInputs(e resource.Experiment) []input {
	share := cmp.Or(e.Primary.Kind, string(experiment.Proportion)) == string(experiment.Proportion)
	mean := input{Name: "baseline", Label: "As it is without the change", Help: "such as 41.5", Note: "optional"}
	if e.Method == string(experiment.Welch) {
		mean.Note = "needed: it is read once, at the planned size"
	}
	if share {
		mean.Label, mean.Help = "Share of users as it is without the change", "such as 0.12"
		return []input{mean}
	}
	return []input{mean, {Name: "stddev", Label: "Its standard deviation over users", Help: "such as 60", Note: mean.Note}}
}

func baselineOf(r *http.Request) (*lab.Baseline, error) {
	number := func(name string) (float64, bool, error) {
		text := strings.TrimSpace(r.PostFormValue(name))
		if text == "" {
			return 0, false, nil
		}
		x, err := strconv.ParseFloat(strings.Replace(text, ",", ".", 1), 64)
		if err != nil {
			return 0, false, errs.E(errs.Invalid, "%q is no number, expected one such as 0.12", clip(text, 40))
		}
		return x, true, nil
	}
	mean, known, err := number("baseline")
	if err != nil {
		return nil, err
	}
	deviation, spread, err := number("stddev")
	if err != nil || !known && !spread {
		return nil, err
	}
	return &lab.Baseline{Mean: mean, StdDev: deviation}, nil
}

func (s *Server) stopExperiment() deed {
	return deed{
		ask: func(r *http.Request, _ *visit) (question, error) {
			run, q, err := s.experimentQuestion(r)
			q.Ask, q.Button, q.Loud = "End "+run.Experiment+"?", "End it", true
			q.Text = "Everyone gets what flag " + run.Spec.Flag + " gives without it, at once. " + readNow(run)
			return q, err
		},
		do: func(r *http.Request, v *visit, reason string) error {
			_, err := s.Lab.Stop(r.Context(), v.Who.Actor(), r.PathValue("experiment"), "", reason, v.Now)
			return err
		},
	}
}

func (s *Server) shipExperiment() deed {
	return deed{
		ask: func(r *http.Request, _ *visit) (question, error) {
			run, q, err := s.experimentQuestion(r)
			q.Ask, q.Button, q.Choose, q.Choice = "Ship a variant of "+run.Spec.Flag+"?", "Ship it", "Variant", run.Reading.Variant
			q.Text = "It is shown to everyone by the flag’s ring plan, one ring after the other. " + readNow(run)
			if run.Phase == lab.Running {
				q.Ask, q.Text = "End "+run.Experiment+" and ship a variant?", "The experiment ends, and what is chosen is shown to everyone by the flag’s ring plan, one ring after the other. "+readNow(run)
			}
			for i := range run.Spec.Variants { // the treatments before the control
				q.Choices = append(q.Choices, run.Spec.Variants[(i+1)%len(run.Spec.Variants)].Variant)
			}
			return q, err
		},
		do: func(r *http.Request, v *visit, reason string) error {
			ship := strings.TrimSpace(r.PostFormValue("choice"))
			if ship == "" {
				return errs.E(errs.Invalid, "variant: missing, expected one to ship")
			}
			_, err := s.Lab.Stop(r.Context(), v.Who.Actor(), r.PathValue("experiment"), ship, reason, v.Now)
			return err
		},
	}
}

// readNow is what a run came to when it was last read.
func readNow(run lab.Run) string {
	if run.Reading.Decision == "" {
		return "It was not read yet."
	}
	return "It reads " + readingText(run.Reading) + ": " + sentenceCase(run.Reading.Why)
}
