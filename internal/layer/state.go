package layer

import (
	"slices"
	"time"
)

// Kind is the kind of the documents that hold States, by the name of the database.
const Kind = "Layer"

// Phase is how far the step of a database is.
type Phase string

// The phases.
const (
	Starting   Phase = "starting"   // the new version is being made; nobody can use it yet
	Started    Phase = "started"    // both versions can be used
	Completing Phase = "completing" // the old version goes
	Returning  Phase = "returning"  // the new version goes
)

// State is what is known of a database.
type State struct {
	Database string   `json:"database"`
	Schema   string   `json:"schema" doc:"holds the tables"`
	Live     []string `json:"live" doc:"versions of the schema that can be used, the newest first; the schema of the tables when there is no other"`
	Step     *Step    `json:"step,omitempty" doc:"the change that is under way"`
	Last     *Step    `json:"last,omitempty" doc:"the change that ended last"`
	Trouble  string   `json:"trouble,omitempty" doc:"why the database could not be looked at"`
}

// Step is a change of a schema on its way: expand, side by side, contract.
type Step struct {
	Name         string    `json:"name" doc:"of the migration"`
	Phase        Phase     `json:"phase" enum:"starting,started,completing,returning,completed,rolled-back"`
	Version      string    `json:"version" doc:"the version of the schema that it brings"`
	Previous     string    `json:"previous" doc:"the version that it replaces"`
	File         string    `json:"file,omitempty" doc:"name of the migration's file"`
	Text         string    `json:"text,omitempty" doc:"what the file holds"`
	By           string    `json:"by,omitempty" doc:"who asked for the phase; empty when it was begun from elsewhere"`
	At           time.Time `json:"at" doc:"since when it is in this phase"`
	Why          string    `json:"why,omitempty"`
	AllowUnknown bool      `json:"allowUnknown,omitempty" doc:"sessions that do not say which version they use are answered for"`
	Force        bool      `json:"force,omitempty" doc:"sessions of the version that goes may fail"`
	Error        string    `json:"error,omitempty" doc:"why the last attempt did not succeed"`
}

// The phases of a step that has ended.
const (
	Completed  Phase = "completed"
	RolledBack Phase = "rolled-back"
)

// Going is the version that is about to go, "" for none.
func (s State) Going() string {
	switch {
	case s.Step == nil:
		return ""
	case s.Step.Phase == Completing:
		return s.Step.Previous
	case s.Step.Phase == Returning:
		return s.Step.Version
	}
	return ""
}

// Offers reports whether a version may be started on a version of the schema now.
func (s State) Offers(version string) bool {
	return version != "" && version != s.Going() && slices.Contains(s.Live, version)
}

// Offered are the versions that may be started on, the newest first.
func (s State) Offered() []string {
	return slices.DeleteFunc(slices.Clone(s.Live), func(v string) bool { return v == s.Going() })
}

// Busy reports whether something is to be done to the database.
func (s State) Busy() bool { return s.Step != nil && s.Step.Phase != Started }

// Seen is what a database says of itself.
type Seen struct {
	Schema    string
	Live      []string
	Migration string // under way, or the last one; "" when there never was one
	Phase     Phase  // of it: starting, started, completed, rolled-back
	Version   string
	Previous  string
}

// Learn is the state after a look at the database, which is right whatever was thought. A step that was asked for and is not yet to be
// seen goes on; one that was begun or ended from elsewhere is taken over.
func (s State) Learn(seen Seen, now time.Time) State {
	s.Schema, s.Live, s.Trouble = seen.Schema, slices.Clone(seen.Live), ""
	active := seen.Phase == Starting || seen.Phase == Started
	mine := s.Step != nil && s.Step.Name == seen.Migration
	switch {
	case active && !mine:
		s.Step = &Step{Name: seen.Migration, Phase: seen.Phase, Version: seen.Version, Previous: seen.Previous, At: now}
	case active && s.Going() == "" && s.Step.Phase != seen.Phase:
		failed := s.Step.Error
		s.Step = s.Step.moved(seen.Phase, now)
		s.Step.Error = failed
	case active:
	case mine && (seen.Phase == Completed || seen.Phase == RolledBack && s.Step.Phase != Starting):
		s.Last, s.Step = s.Step.moved(seen.Phase, now), nil
	case s.Step != nil && s.Step.Phase != Starting: // it is gone from the database
		s.Last, s.Step = s.Step.moved(RolledBack, now), nil
	}
	return s
}

// moved is a step in another phase.
func (s *Step) moved(to Phase, now time.Time) *Step {
	next := *s
	next.Phase, next.At, next.Error = to, now, ""
	if to != Starting && to != Started {
		next.Text = "" // it was carried out, and is in the record
	}
	return &next
}
