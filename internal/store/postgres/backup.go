package postgres

import (
	"context"
	"errors"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/ringfence/ringfence/internal/store/backup"
	"github.com/ringfence/ringfence/internal/store/batch"
	"github.com/ringfence/ringfence/internal/store/sqltext"
)

// What is sent to the server at once during a restore, at least.
const (
	restoreRows  = 500
	restoreBytes = 4 << 20
)

// Backup writes everything to w as of one moment, while writes go on.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	version, err := schemaVersion()
	if err != nil {
		return err
	}
	return s.snapshot(ctx, func(tx pgx.Tx) error {
		head, err := s.readHead(ctx, tx)
		if err != nil {
			return err
		}
		out, err := backup.NewWriter(w, version)
		if err != nil {
			return err
		}
		if err := each(ctx, tx, sqltext.ScanDoc, out.Doc, sqltext.AllDocs(s.schema)); err != nil {
			return err
		}
		if err := each(ctx, tx, sqltext.ScanEvent, out.Event, sqltext.AllEvents(s.schema)); err != nil {
			return err
		}
		return out.Close(head.Seq, head.Hash)
	})
}

// Restore reads a backup into an empty store. Nothing of it is visible until all of it is proved whole.
func (s *Store) Restore(ctx context.Context, r io.Reader) error {
	version, err := schemaVersion()
	if err != nil {
		return err
	}
	in, err := backup.NewReader(r, version)
	if err != nil {
		return err
	}
	return s.inTx(ctx, func(tx *writeTx) error {
		head, _, err := tx.begin(ctx, nil, "0") // the backup may come slowly
		if err != nil {
			return err
		}
		var docs int
		if err := tx.tx.QueryRow(ctx, "SELECT count(*) FROM "+s.schema+".docs").Scan(&docs); err != nil {
			return kindOf(err, "count documents")
		}
		if head.Seq != 0 || docs != 0 {
			return batch.NotEmpty(docs, head)
		}
		return tx.restore(ctx, in)
	})
}

func (t *writeTx) restore(ctx context.Context, in *backup.Reader) error {
	b, size := &pgx.Batch{}, 0
	for {
		r, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			if err := t.send(ctx, b); err != nil {
				return err
			}
			seq, hash := in.Head()
			return t.restoreHead(ctx, batch.Head{Seq: seq, Hash: hash})
		case err != nil:
			return err
		case r.Doc != nil:
			size += len(r.Doc.Body)
			t.queueDoc(b, *r.Doc)
		default:
			size += len(r.Event.Data)
			t.queueEvent(b, *r.Event)
		}
		if b.Len() >= restoreRows || size >= restoreBytes {
			if err := t.send(ctx, b); err != nil {
				return err
			}
			b, size = &pgx.Batch{}, 0
		}
	}
}
