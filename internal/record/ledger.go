package record

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// Store keeps documents and the record.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
	Events(ctx context.Context, q store.EventQuery) ([]audit.Event, error)
}

// Tree is the tree over the record.
type Tree interface {
	Tree(ctx context.Context) (audit.Head, error)
	Tiles(ctx context.Context, want []audit.Tile) ([][]byte, error)
}

// Ship takes checkpoints to a place off the record. Shipped returns those that can be read back, the newest first.
type Ship interface {
	Name() string
	Ship(ctx context.Context, c audit.Checkpoint, signed []byte) error
	Shipped(ctx context.Context) ([][]byte, error)
}

// Witness cosigns checkpoints that continue those it has seen. When it has seen a tree of another size than old, it says which.
type Witness interface {
	Name() string
	Add(ctx context.Context, old int64, proof []audit.Hash, c audit.Checkpoint, signed []byte) (line string, seen int64, err error)
}

// Alarms are told again and again while something is wrong with the record.
type Alarms interface {
	Record(ctx context.Context, wrong []Finding) error
}

// Options configure a ledger.
type Options struct {
	Store     Store
	Tree      Tree
	KeyFile   string // of the private key
	Shared    bool   // other control planes use the same database: no key is made where the log has one
	Ships     []Ship
	Witnesses []Witness
	Alarms    Alarms        // nil: findings are on the record and in the program's log only
	Keep      time.Duration // how long events keep their content; 0 for ever
	Every     time.Duration // between checkpoints; default 5 minutes
	Now       func() time.Time
	Logger    *slog.Logger
}

const (
	// Kind is that of the log's documents.
	Kind    = "record"
	nameLog = "log"
	nameEnd = "checkpoint"

	subject = "record/log"
	actor   = "system:record"
)

// Ledger is the log over the record.
type Ledger struct {
	Options
	private string
	public  string

	mu      sync.Mutex
	known   map[string]bool // findings that are on the record already
	wrong   []Finding
	walked  time.Time
	seen    map[string]int64 // by witness
	shipped map[string]int64 // by place
}

// New makes a ledger. Open comes before everything else.
func New(o Options) *Ledger {
	if o.Every == 0 {
		o.Every = 5 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Ledger{Options: o, known: map[string]bool{}, seen: map[string]int64{}, shipped: map[string]int64{}}
}

// Run signs, ships and looks until ctx ends.
func (l *Ledger) Run(ctx context.Context) error {
	tick := time.NewTicker(l.Every)
	defer tick.Stop()
	for {
		if err := l.round(ctx); err != nil && ctx.Err() == nil {
			l.Logger.Warn("the record could not be looked after", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// round compares before it signs, so that what is wrong is not covered by a new signature unsaid.
func (l *Ledger) round(ctx context.Context) error {
	if _, err := l.Look(ctx); err != nil {
		return err
	}
	if err := l.prune(ctx); err != nil {
		return err
	}
	if l.private == "" {
		return nil
	}
	signed, err := l.Sign(ctx)
	if err != nil {
		return err
	}
	return l.shipAll(ctx, signed)
}

// get reads a document of the log, its revision 0 when there is none.
func get[T any](ctx context.Context, l *Ledger, name string) (v T, rev int64, err error) {
	d, err := l.Store.Get(ctx, Kind, name)
	if errs.Is(err, errs.Missing) {
		return v, 0, nil
	}
	if err == nil {
		err = json.Unmarshal(d.Body, &v)
	}
	return v, d.Rev, err
}

func put(name string, rev int64, v any) (store.Doc, error) {
	body, err := json.Marshal(v)
	return store.Doc{Kind: Kind, Name: name, Rev: rev, Body: body}, err
}

// commit stores a document of the log with the event that says why.
func (l *Ledger) commit(ctx context.Context, name string, rev int64, v any, typ, who string, data any) error {
	d, err := put(name, rev, v)
	if err != nil {
		return err
	}
	e, err := audit.New(l.Now(), typ, who, subject, data)
	if err != nil {
		return err
	}
	_, err = l.Store.Commit(ctx, store.Write{Puts: []store.Doc{d}, Events: []audit.Event{e}})
	return err
}
