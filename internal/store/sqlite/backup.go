package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store/backup"
	"github.com/ringfence/ringfence/internal/store/batch"
	"github.com/ringfence/ringfence/internal/store/sqltext"
)

// Backup writes everything to w as of one moment, while writes go on.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	version, err := schemaVersion()
	if err != nil {
		return err
	}
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return kindOf(err, "begin a backup")
	}
	defer tx.Rollback()
	head, err := readHead(ctx, tx) // the first read fixes the moment
	if err != nil {
		return err
	}
	out, err := backup.NewWriter(w, version)
	if err != nil {
		return err
	}
	if err := each(ctx, tx, sqltext.ScanDoc, out.Doc, sqltext.AllDocs(schema)); err != nil {
		return err
	}
	if err := each(ctx, tx, sqltext.ScanEvent, out.Event, sqltext.AllEvents(schema)); err != nil {
		return err
	}
	return out.Close(head.Seq, head.Hash)
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
		var docs int
		if err := tx.tx.QueryRow("SELECT count(*) FROM main.docs").Scan(&docs); err != nil {
			return kindOf(err, "count documents")
		}
		if head, err := tx.head(); err != nil {
			return err
		} else if head.Seq != 0 || docs != 0 {
			return batch.NotEmpty(docs, head)
		}
		return tx.restore(ctx, in)
	})
}

func (t *writeTx) restore(ctx context.Context, in *backup.Reader) error {
	doc, event := t.tx.Stmt(t.stmts.put), t.tx.Stmt(t.stmts.event)
	for {
		r, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			seq, hash := in.Head()
			return t.restoreHead(batch.Head{Seq: seq, Hash: hash})
		case err == nil && ctx.Err() != nil:
			return errs.Wrap(errs.Unavailable, ctx.Err(), "nothing was restored")
		case err == nil && r.Doc != nil:
			err = putDoc(doc, *r.Doc)
		case err == nil:
			err = putEvent(event, *r.Event)
		}
		if err != nil {
			return err
		}
	}
}
