package ui

import (
	"context"
	"io"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/catalog"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/switchboard"
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
	Consent(ctx context.Context, actor, which string, said rollout.Consent, now time.Time) (rollout.State, error)
	Redeploy(ctx context.Context, actor, service, why string, now time.Time) (rollout.State, error)
	Inbox(ctx context.Context) ([]rollout.Asking, error)
	TurnLine(ctx context.Context, actor, reason string, stop bool, now time.Time) (rollout.Line, error)
	Line(ctx context.Context) (rollout.Line, error)
}

// Plans writes what people declared.
type Plans interface {
	Apply(ctx context.Context, actor string, now time.Time, set []resource.Resource, dryRun bool) (catalog.Result, error)
}

// Board is what people do with flags.
type Board interface {
	FlagViews
	FlagActions
	FlagEdits
	FlagReviews
}

// FlagViews say how flags are.
type FlagViews interface {
	Flags(ctx context.Context, set, env string, now time.Time) ([]switchboard.View, error)
	Flag(ctx context.Context, s flag.Subject, now time.Time) (switchboard.View, error)
	Explain(ctx context.Context, s flag.Subject, user *exposure.Context) (switchboard.Explanation, error)
}

// FlagActions change what users get, at once or ring by ring.
type FlagActions interface {
	Expose(ctx context.Context, actor string, o rollout.Order, now time.Time) (rollout.State, error)
	Off(ctx context.Context, actor string, s flag.Subject, reason string, now time.Time) (switchboard.Off, error)
	State(ctx context.Context, actor string, s flag.Subject, enabled bool, reason string, now time.Time) (switchboard.Edited, error)
}

// FlagEdits change definitions, or ask for a review of that.
type FlagEdits interface {
	EditFlag(ctx context.Context, actor, set, key string, patch map[string]any, reason string, now time.Time) (switchboard.Edited, error)
	Propose(ctx context.Context, actor string, after resource.Resource, reason string, now time.Time) (switchboard.Edited, error)
	Undo(ctx context.Context, actor, set, key string, at int64, reason string, now time.Time) (switchboard.Edited, error)
}

// FlagReviews decide on change requests.
type FlagReviews interface {
	Requests(ctx context.Context, set string, open bool) ([]switchboard.Request, error)
	Request(ctx context.Context, id string) (switchboard.Request, error)
	Review(ctx context.Context, actor, id, reason string, refuse bool, now time.Time) (switchboard.Request, error)
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

// Identity signs people in by identity providers.
type Identity interface {
	Choices(ctx context.Context) ([]access.Choice, error)
	Begin(ctx context.Context, provider, back string) (access.Attempt, error)
	Lend(ctx context.Context, token, from string, now time.Time) (secret string, made access.Token, err error)
	Finish(ctx context.Context, provider, back, code, from string, a access.Attempt, now time.Time) (secret string, made access.Token, err error)
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

// Authority says who may do what.
type Authority interface {
	Decide(ctx context.Context, q policy.Request) (policy.Decision, error)
}
