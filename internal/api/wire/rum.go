package wire

import (
	"time"

	"github.com/ringfence/ringfence/internal/outcome"
	"github.com/ringfence/ringfence/internal/rollout"
)

// UserEvent is what one user was given or did, as a data plane tells it.
type UserEvent struct {
	Type         string    `json:"type"`
	Time         time.Time `json:"time"`
	TargetingKey string    `json:"targetingKey"`
	Flag         string    `json:"flag,omitempty"`
	Variant      string    `json:"variant,omitempty"`
	Metric       string    `json:"metric,omitempty"`
	Value        *float64  `json:"value,omitempty"`
}

// RUM is how a service's pages were for their users, and how they used it.
type RUM struct {
	Service  string        `json:"service"`
	Since    time.Time     `json:"since"`
	Until    time.Time     `json:"until"`
	Pages    []PageVitals  `json:"pages" doc:"by page, version and ring; the most viewed first"`
	Usage    []Usage       `json:"usage" doc:"by version and ring"`
	Variants []VariantUse  `json:"variants" doc:"by flag and variant"`
	Errors   []ScriptError `json:"errors" doc:"of scripts, the most frequent first"`
	Refused  float64       `json:"refused" doc:"reports that were not taken: too many, too large, or of users who ask not to be tracked"`
}

// PageVitals are the web vitals that three of four views were at most, in seconds, cls without a unit.
type PageVitals struct {
	Page    string             `json:"page"`
	Version string             `json:"version"`
	Ring    string             `json:"ring"`
	Views   float64            `json:"views"`
	Errors  float64            `json:"errors"`
	P75     map[string]float64 `json:"p75" doc:"lcp, fcp, ttfb, inp, cls"`
}

// Usage is how much a version was used.
type Usage struct {
	Version  string             `json:"version"`
	Ring     string             `json:"ring"`
	Requests float64            `json:"requests"`
	Users    float64            `json:"users"`
	Views    float64            `json:"views,omitempty"`
	Events   map[string]float64 `json:"events,omitempty" doc:"what users did, by name"`
}

// VariantUse is how much pages with a variant of a flag were used.
type VariantUse struct {
	Flag    string             `json:"flag"`
	Variant string             `json:"variant"`
	Views   float64            `json:"views"`
	Errors  float64            `json:"errors"`
	Events  map[string]float64 `json:"events,omitempty"`
	P75     map[string]float64 `json:"p75,omitempty"`
}

// ScriptError is an error of a page's script.
type ScriptError struct {
	Unit    string    `json:"unit,omitempty"`
	Version string    `json:"version"`
	Ring    string    `json:"ring,omitempty"`
	Page    string    `json:"page"`
	Kind    string    `json:"kind"`
	Message string    `json:"message"`
	Source  string    `json:"source,omitempty"`
	Count   int64     `json:"count"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

// Outcome is what became of a release's hypothesis.
type Outcome struct {
	Rollout string          `json:"rollout"`
	Phase   rollout.Phase   `json:"phase"`
	Outcome *outcome.Report `json:"outcome,omitempty" doc:"nothing when the release states no hypothesis"`
}
