package schema

import (
	"context"
	"errors"
	"time"

	"github.com/ringfence/ringfence/internal/ddl"
)

// ErrBusy is in the chain of an error about locks that were not to be had in time: nothing was done, and it may be tried again.
var ErrBusy = errors.New("locks were not to be had in time")

// ErrInUse is in the chain of an error about a version that sessions still use.
var ErrInUse = errors.New("the version is in use")

// ErrLeased is in the chain of an error about a lease that another one has.
var ErrLeased = errors.New("another migration works on the database")

// Database is what can be asked of a database without the lease.
type Database interface {
	// Catalog reads what a schema holds.
	Catalog(ctx context.Context) (*ddl.Catalog, error)
	// Records are the migrations that were started, the latest first, at most n.
	Records(ctx context.Context, n int) ([]Record, error)
	// Sessions are the sessions of programs, with the versions that they use.
	Sessions(ctx context.Context) ([]Session, error)
	// Pressure says how the database fares.
	Pressure(ctx context.Context) (Pressure, error)
	// Lease takes the lease of the database: errs.Conflict when another has it.
	Lease(ctx context.Context) (Lease, error)
}

// Lease is the right to change the database, as long as its connection lives.
type Lease interface {
	// Check has the database understand queries, without running them.
	Check(ctx context.Context, checks []ddl.Check) error
	// Do carries out an act and stores its record, both or neither, except for steps that know no transaction: these may be done twice.
	Do(ctx context.Context, a Act) error
	// Fill fills a batch of rows and stores the record, both or neither.
	Fill(ctx context.Context, b Batch) (Filled, error)
	// Save stores a record.
	Save(ctx context.Context, r Record) error
	// Close gives the lease back.
	Close()
}

// Phase is how far a migration is.
type Phase string

// The phases.
const (
	Starting   Phase = "starting"    // the new version is being made; nobody sees it
	Started    Phase = "started"     // both versions are live
	Completed  Phase = "completed"   // only the new one is
	RolledBack Phase = "rolled-back" // only the old one is
)

// Active reports whether the migration is under way.
func (p Phase) Active() bool { return p == Starting || p == Started }

// Record is what is known of a migration. It is stored in the database that it changes.
type Record struct {
	Name     string    `json:"name"`
	Digest   string    `json:"digest"`
	Phase    Phase     `json:"phase"`
	Step     int       `json:"step"` // of Plan.Expand, that is done next
	Plan     ddl.Plan  `json:"plan"`
	Filled   Progress  `json:"filled"` // of the step, when it is a fill
	Error    string    `json:"error,omitempty"`
	Started  time.Time `json:"started"`
	Changed  time.Time `json:"changed"`
	Expanded time.Time `json:"expanded,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
}

// Progress is how far a fill is.
type Progress struct {
	Block  int64         `json:"block"`  // the next one
	Blocks int64         `json:"blocks"` // of the table when the fill began; 0 when it has not
	File   int64         `json:"file"`   // the table's file, which changes when the table is rewritten
	Rows   int64         `json:"rows"`
	Took   time.Duration `json:"took"` // with pauses
}

// Share is the part that is done.
func (p Progress) Share() float64 {
	if p.Blocks == 0 {
		return 0
	}
	return min(1, float64(p.Block)/float64(p.Blocks))
}

// Left is about how long the rest takes, 0 when that is not known.
func (p Progress) Left() time.Duration {
	if p.Block == 0 || p.Blocks == 0 {
		return 0
	}
	return time.Duration(float64(p.Took) * float64(max(0, p.Blocks-p.Block)) / float64(p.Block))
}

// Act is a step to carry out.
type Act struct {
	Step         ddl.Step
	Record       Record // as it is afterwards
	Gate         string // the version that no session may use any more; empty for none
	Stays        string // the version that is there afterwards
	Insist       bool   // calls of programs are held until those in progress have ended, not only while there are none
	AllowUnknown bool   // sessions of which no version is known do not matter to the gate
	DropViews    string // the schema of views that goes
	LockTimeout  time.Duration
}

// Batch is a part of a fill.
type Batch struct {
	Step   ddl.Step
	Blocks int64  // how many
	Record Record // as it was before; its Filled is moved on
}

// Filled is what became of a batch.
type Filled struct {
	Progress Progress
	Took     time.Duration
}

// Session is a connection of a program.
type Session struct {
	PID         int       `json:"pid"`
	Version     string    `json:"version"`         // schema of views, or the schema of the tables; empty when it is not known
	How         string    `json:"how"`             // how it is known: lock, application_name, views, role, call
	Calls       []string  `json:"calls,omitempty"` // of the live versions, those that it takes one of for each transaction
	Application string    `json:"application"`
	User        string    `json:"user"`
	Client      string    `json:"client,omitempty"`
	Since       time.Time `json:"since"`
}

// Pressure is how the database fares.
type Pressure struct {
	Lag         time.Duration `json:"lag"`               // of the replica that is furthest behind
	Transaction time.Duration `json:"transaction"`       // age of the oldest transaction that holds a lock on a table
	PID         int           `json:"pid,omitempty"`     // whose it is
	Answer      time.Duration `json:"answer"`            // how long a small write took
	Replica     string        `json:"replica,omitempty"` // that is behind
}
