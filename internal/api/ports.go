package api

import (
	"context"
	"io"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/catalog"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/servicing"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/switchboard"
	"github.com/ringfence/ringfence/internal/upkeep"
)

// Catalog holds what people declared.
type Catalog interface {
	Apply(ctx context.Context, actor string, now time.Time, set []resource.Resource, dryRun bool) (catalog.Result, error)
	Get(ctx context.Context, kind, name string) (resource.Resource, error)
	List(ctx context.Context, kind, after string, limit int) ([]resource.Resource, error)
	Delete(ctx context.Context, actor string, now time.Time, kind, name string) error
	Export(ctx context.Context) ([]resource.Resource, error)
}

// Releases makes releases and puts services together with their plans.
type Releases interface {
	CreateRelease(ctx context.Context, actor string, now time.Time, rel resource.Release) (resource.Release, error)
	Releases(ctx context.Context, service string) ([]resource.Release, error)
	Release(ctx context.Context, service, version string) (resource.Release, error)
	Resolve(ctx context.Context, service string) (resource.Resolved, error)
}

// Artifacts keeps content under its digest.
type Artifacts interface {
	Put(ctx context.Context, r io.Reader, limit int64) (digest string, size int64, err error)
	Open(ctx context.Context, digest string) (io.ReadCloser, error)
	Size(ctx context.Context, digest string) (int64, error)
}

// Rollouts carries changes through their rings.
type Rollouts interface {
	Release(ctx context.Context, actor string, o rollout.Order, now time.Time) (rollout.State, error)
	Command(ctx context.Context, verb rollout.Verb, actor, which, reason string, now time.Time) (rollout.State, error)
	Find(ctx context.Context, which string) (rollout.State, error)
	List(ctx context.Context, service string) ([]rollout.State, error)
	Waiting(ctx context.Context, id string, now time.Time) (string, rollout.Evidence, error)
}

// Decisions are what people decide of rollouts beyond their verbs.
type Decisions interface {
	Consent(ctx context.Context, actor, which string, said rollout.Consent, now time.Time) (rollout.State, error)
	Redeploy(ctx context.Context, actor, service, why string, now time.Time) (rollout.State, error)
	Inbox(ctx context.Context) ([]rollout.Asking, error)
	TurnLine(ctx context.Context, actor, reason string, stop bool, now time.Time) (rollout.Line, error)
	Line(ctx context.Context) (rollout.Line, error)
}

// Configs makes versions of services' configurations.
type Configs interface {
	CreateConfig(ctx context.Context, actor string, now time.Time, cfg resource.Config) (resource.Config, error)
	Config(ctx context.Context, service, version string) (resource.Config, error)
	Configs(ctx context.Context, service string) ([]resource.Config, error)
}

// Hub is the link to the data planes.
type Hub interface {
	Admit(ctx context.Context, unit, plane string) error
	Desired(ctx context.Context, unit, have string, wait time.Duration) (fleet.Desired, string, error)
	Report(ctx context.Context, o fleet.Observed) error
	Observe(unit, service string) (fleet.ServiceStatus, time.Time)
	Upgraded(ctx context.Context, unit string, u fleet.Upgrade) error
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
	Choose(ctx context.Context, actor string, s flag.Subject, user, choice string, now time.Time) error
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

// Lab runs experiments.
type Lab interface {
	List(ctx context.Context) ([]lab.Run, error)
	Read(ctx context.Context, name string, step time.Duration, now time.Time) (lab.Report, error)
	Start(ctx context.Context, actor, name string, baseline *lab.Baseline, now time.Time) (lab.Run, error)
	Stop(ctx context.Context, actor, name, ship, reason string, now time.Time) (lab.Run, error)
}

// Flags is what is served to environments.
type Flags interface {
	Current(env string) (*flag.Snapshot, error)
	Await(ctx context.Context, env, have string, wait time.Duration) (flag.Feed, error)
}

// Upkeep takes units into maintenance and back.
type Upkeep interface {
	Units(ctx context.Context, now time.Time) ([]upkeep.Unit, error)
	Rest(ctx context.Context, actor, unit string, o upkeep.Order, now time.Time) (upkeep.Unit, error)
	Return(ctx context.Context, actor, unit, reason string, now time.Time) (upkeep.Unit, error)
}

// Servicing changes the schemas of databases beside the services that use them.
type Servicing interface {
	List(ctx context.Context) ([]servicing.View, error)
	Show(ctx context.Context, name string) (servicing.View, error)
	Start(ctx context.Context, actor, name, file, text string, o servicing.Order) (servicing.View, error)
	Complete(ctx context.Context, actor, name string, o servicing.Order) (servicing.View, error)
	Return(ctx context.Context, actor, name string, o servicing.Order) (servicing.View, error)
}

// FlagKeys are those by which clients ask for flags.
type FlagKeys interface {
	Create(ctx context.Context, actor string, k flag.Key, now time.Time) (secret string, made flag.Key, err error)
	Revoke(ctx context.Context, actor, which string, now time.Time) (flag.Key, error)
	List(ctx context.Context) ([]flag.Key, error)
}

// Logs brings what instances wrote from the data plane of a unit.
type Logs interface {
	Logs(ctx context.Context, unit string, q wire.LogQuery) (io.ReadCloser, error)
}

// Store keeps documents and the record. Changed returns a channel that is closed at the next event of this process;
// events of other processes on the same store are found by looking.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
	Events(ctx context.Context, q store.EventQuery) ([]audit.Event, error)
	Backup(ctx context.Context, w io.Writer) error
}

// Notifier tells of new events.
type Notifier interface {
	Changed() <-chan struct{}
}

// Access signs callers in, and says who can.
type Access interface {
	SignIn(ctx context.Context, token string) (policy.Principal, error)
	Create(ctx context.Context, actor string, want access.Wanted, now time.Time) (secret string, made access.Token, err error)
	Revoke(ctx context.Context, actor, which string, now time.Time) (access.Token, error)
	List(ctx context.Context) ([]access.Token, error)
}

// Authority says who may do what.
type Authority interface {
	Decide(ctx context.Context, q policy.Request) (policy.Decision, error)
}

// Identity signs in whom identity providers vouch for.
type Identity interface {
	Exchange(ctx context.Context, token, program, from string, now time.Time) (secret string, made access.Token, err error)
	End(ctx context.Context, actor, which string, now time.Time) ([]access.Token, error)
	Forget(ctx context.Context, actor, name string, now time.Time) error
}
