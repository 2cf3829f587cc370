package app

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// discreet keeps what a database says about its outage to the log: it names hosts, users, files and documents, and its
// errors reach people who are not even signed in. Errors that the store makes itself, such as a conflict, are for all.
type discreet struct {
	Store
	log *slog.Logger

	mu   sync.Mutex
	said time.Time
}

// saidEvery is how long nothing more is logged about an outage, in which every request fails.
const saidEvery = 10 * time.Second

func (d *discreet) Get(ctx context.Context, kind, name string) (store.Doc, error) {
	doc, err := d.Store.Get(ctx, kind, name)
	return doc, d.told(ctx, err, "the database does not answer")
}

func (d *discreet) List(ctx context.Context, p store.Page) ([]store.Doc, error) {
	docs, err := d.Store.List(ctx, p)
	return docs, d.told(ctx, err, "the database does not answer")
}

func (d *discreet) Events(ctx context.Context, q store.EventQuery) ([]audit.Event, error) {
	events, err := d.Store.Events(ctx, q)
	return events, d.told(ctx, err, "the database does not answer")
}

func (d *discreet) Tree(ctx context.Context) (audit.Head, error) {
	head, err := d.Store.Tree(ctx)
	return head, d.told(ctx, err, "the database does not answer")
}

func (d *discreet) Tiles(ctx context.Context, want []audit.Tile) ([][]byte, error) {
	tiles, err := d.Store.Tiles(ctx, want)
	return tiles, d.told(ctx, err, "the database does not answer")
}

func (d *discreet) Commit(ctx context.Context, w store.Write) ([]audit.Event, error) {
	sealed, err := d.Store.Commit(ctx, w)
	return sealed, d.told(ctx, err, "the database does not answer, and may or may not have recorded this")
}

func (d *discreet) Backup(ctx context.Context, w io.Writer) error {
	return d.told(ctx, d.Store.Backup(ctx, w), "the backup was broken off")
}

// told is what may be told of err. Kinds that a driver's error has at the start, such as a refused password, are an
// outage once requests are served.
func (d *discreet) told(ctx context.Context, err error, instead string) error {
	kind := errs.KindOf(err)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return errs.Wrap(errs.Unavailable, ctx.Err(), "given up")
	case kind != errs.Unavailable && kind != errs.Internal && ours(err):
		return err
	}
	d.mention(err)
	if kind != errs.Internal {
		kind = errs.Unavailable
	}
	return errs.E(kind, "%s", instead).Next("Try again; the control plane's log has the details.")
}

// ours says whether the store itself made an error, with nothing of a driver's in it.
func ours(err error) bool {
	for err != nil {
		e, ok := err.(*errs.Error)
		if !ok {
			return false
		}
		err = e.Unwrap()
	}
	return true
}

func (d *discreet) mention(err error) {
	d.mu.Lock()
	now := time.Now()
	silent := now.Sub(d.said) < saidEvery
	if !silent {
		d.said = now
	}
	d.mu.Unlock()
	if !silent {
		d.log.Error("the database does not answer as it should", "err", err)
	}
}
