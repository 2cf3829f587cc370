package ui

import (
	"context"
	"io"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/catalog"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// Catalog holds what people declared, and releases.
type Catalog interface {
	Get(ctx context.Context, kind, name string) (resource.Resource, error)
	List(ctx context.Context, kind, after string, limit int) ([]resource.Resource, error)
	Resolve(ctx context.Context, service string) (resource.Resolved, error)
	Releases(ctx context.Context, service string) ([]resource.Release, error)
}

// Rollouts carries changes through their rings.
type Rollouts interface {
	Release(ctx context.Context, actor string, o rollout.Order, now time.Time) (rollout.State, error)
	Command(ctx context.Context, verb rollout.Verb, actor, which, reason string, now time.Time) (rollout.State, error)
	Find(ctx context.Context, which string) (rollout.State, error)
	List(ctx context.Context, service string) ([]rollout.State, error)
	Waiting(ctx context.Context, id string, now time.Time) (string, rollout.Evidence, error)
}

// Decisions are what people decide beyond the verbs of a rollout.
type Decisions interface {
	Approve(ctx context.Context, actor, which, ring, reason string, refuse bool, now time.Time) (rollout.State, error)
	Redeploy(ctx context.Context, actor, service, why string, now time.Time) (rollout.State, error)
	Inbox(ctx context.Context) ([]rollout.Asking, error)
	TurnLine(ctx context.Context, actor, reason string, stop bool, now time.Time) (rollout.Line, error)
	Line(ctx context.Context) (rollout.Line, error)
}

// Plans writes what people declared.
type Plans interface {
	Apply(ctx context.Context, actor string, now time.Time, set []resource.Resource, dryRun bool) (catalog.Result, error)
}

// Calendar knows when windows are open.
type Calendar interface {
	Between(w resource.Window, from, to time.Time, limit int) []Span
	Export(w io.Writer, title, domain string, now time.Time, windows []NamedWindow) error
}

// Span is one time that a window is open.
type Span struct{ Start, End time.Time }

// NamedWindow is a window as a calendar tells of it.
type NamedWindow struct {
	Name, Reason string
	Window       resource.Window
}

// Hub knows what the data planes report.
type Hub interface {
	Observe(unit, service string) (fleet.ServiceStatus, time.Time)
}

// Store keeps documents and the record.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
	Events(ctx context.Context, q store.EventQuery) ([]audit.Event, error)
}

// Notifier tells of new events.
type Notifier interface {
	Changed() <-chan struct{}
}

// Access signs people in.
type Access interface {
	SignIn(ctx context.Context, token string) (policy.Principal, error)
}

// Line is one series of a chart: points are Unix seconds and value.
type Line struct {
	Labels map[string]string
	Points [][2]float64
}

// Metrics answers PromQL over a range of time.
type Metrics interface {
	QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Line, error)
}
