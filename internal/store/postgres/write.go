package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/batch"
	"github.com/ringfence/ringfence/internal/store/sqltext"
)

// texts are the statements with the schema filled in.
type texts struct{ doc, head, lock, revs, put, remove, event, chain, hashes, tile, putTile, forget, settings string }

func textsOf(schema string) texts {
	return texts{
		doc:  sqltext.Doc(schema),
		head: sqltext.Head(schema),
		lock: sqltext.Head(schema) + " FOR UPDATE",
		revs: "SELECT d.kind, d.name, d.rev FROM unnest($1::text[], $2::text[]) AS k (kind, name) JOIN " + schema + ".docs d ON d.kind = k.kind COLLATE \"C\" AND d.name = k.name COLLATE \"C\"",
		put: "INSERT INTO " + schema + ".docs (kind, name, rev, updated, body) VALUES ($1, $2, $3, $4, $5) " +
			"ON CONFLICT (kind, name) DO UPDATE SET rev = excluded.rev, updated = excluded.updated, body = excluded.body",
		remove: "DELETE FROM " + schema + ".docs WHERE kind = $1 AND name = $2",
		event:  "INSERT INTO " + schema + ".events (seq, time, type, actor, subject, data, prev, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		chain:  sqltext.SetHead(schema), hashes: sqltext.Hashes(schema), tile: sqltext.Tile(schema), putTile: sqltext.PutTile(schema), forget: sqltext.Forget(schema),
		settings: "SELECT set_config('lock_timeout', '10s', true), set_config('idle_in_transaction_session_timeout', $1, true), " +
			"CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END",
	}
}

// transact is the batch.Transact of the schema: two exchanges with the server and the commit, however many writes.
func (s *Store) transact(keys []batch.Key, plan func(batch.Head, batch.Revs) batch.Changes) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout) // not a caller's: a batch carries many
	defer cancel()
	return s.inTx(ctx, func(tx *writeTx) error {
		head, revs, err := tx.begin(ctx, keys, "20s")
		if err != nil {
			return err
		}
		c := plan(head, revs)
		if err := c.Grow(head.Seq, rows{ctx, tx.tx, &s.texts}); err != nil {
			return err
		}
		return tx.store(ctx, c)
	})
}

func (s *Store) inTx(ctx context.Context, f func(*writeTx) error) error {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return kindOf(err, "begin a write")
	}
	if err := f(&writeTx{tx: tx, texts: &s.texts}); err != nil {
		_ = tx.Rollback(context.WithoutCancel(ctx)) // the first error says more
		return err
	}
	return commitError(tx.Commit(ctx))
}

type writeTx struct {
	tx    pgx.Tx
	texts *texts
}

// begin locks the chain, after which no other writer comes between, and only then reads what it guards. A
// process that goes silent loses the lock after idle.
func (t *writeTx) begin(ctx context.Context, keys []batch.Key, idle string) (batch.Head, batch.Revs, error) {
	var head batch.Head
	revs := make(batch.Revs, len(keys))
	b := &pgx.Batch{}
	b.Queue(t.texts.settings, idle)
	b.Queue(t.texts.lock).QueryRow(func(row pgx.Row) (err error) { head, err = scanHead(row); return err })
	if len(keys) > 0 {
		kinds, names := make([]string, len(keys)), make([]string, len(keys))
		for i, k := range keys {
			kinds[i], names[i] = k.Kind, k.Name
		}
		b.Queue(t.texts.revs, kinds, names).Query(func(rows pgx.Rows) error {
			var k batch.Key
			var rev int64
			_, err := pgx.ForEachRow(rows, []any{&k.Kind, &k.Name, &rev}, func() error { revs[k] = rev; return nil })
			return err
		})
	}
	err := t.tx.SendBatch(ctx, b).Close()
	return head, revs, kindOf(err, "begin a write")
}

func (t *writeTx) store(ctx context.Context, c batch.Changes) error {
	b := &pgx.Batch{}
	for _, d := range c.Puts {
		t.queueDoc(b, d)
	}
	for _, k := range c.Deletes {
		b.Queue(t.texts.remove, k.Kind, k.Name)
	}
	for _, e := range c.Events {
		t.queueEvent(b, e)
	}
	if c.Forget > 0 {
		b.Queue(t.texts.forget, c.Forget)
	}
	if len(c.Events) > 0 || len(c.Tiles) > 0 {
		t.queueHead(b, c.Head, c.Tiles)
	}
	return t.send(ctx, b)
}

func (t *writeTx) send(ctx context.Context, b *pgx.Batch) error {
	if b.Len() == 0 {
		return nil
	}
	return kindOf(t.tx.SendBatch(ctx, b).Close(), "write to the database")
}

func (t *writeTx) queueDoc(b *pgx.Batch, d store.Doc) {
	b.Queue(t.texts.put, d.Kind, d.Name, d.Rev, d.Updated.UnixMicro(), string(d.Body))
}

func (t *writeTx) queueEvent(b *pgx.Batch, e audit.Event) {
	b.Queue(t.texts.event, e.Seq, e.Time.UnixMicro(), e.Type, e.Actor, e.Subject, sqltext.Text(e.Data), e.Prev, e.Hash)
}
