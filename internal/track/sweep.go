package track

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

const (
	sweepEvery = 6 * time.Hour
	sweepStep  = 2_000 // rows that one transaction looks at, so that folding waits for milliseconds only
	day        = 24 * time.Hour
)

func (s *Store) sweepLoop(ctx context.Context) {
	defer s.done.Done()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.logger.Error("old events could not be removed", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// broom walks through a table in order of its key and removes rows that are older than a limit.
type broom struct {
	table, age string
	keys       []string
	limit      int64
}

// Sweep removes what is older than the retention, ids older than RepeatWindow, and users of whom nothing is left.
func (s *Store) Sweep(ctx context.Context) error {
	now := s.now()
	oldest := now.Add(-s.retention)
	for _, b := range []broom{
		{"exposures", "hour", []string{"flag", "user"}, hourOf(oldest.UnixMilli())},
		{"metrics", "time", []string{"metric", "user"}, oldest.UnixMilli()},
		{"ids", "hour", []string{"hash"}, hourOf(now.Add(-RepeatWindow).UnixMilli())},
		// An event's time may be ahead of the day on which it arrived.
		{"users", "day", []string{"id"}, oldest.Add(-2*day).UnixMilli() / day.Milliseconds()},
	} {
		if err := s.sweep(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) sweep(ctx context.Context, b broom) error {
	keys := strings.Join(b.keys, ", ")
	marks := strings.TrimSuffix(strings.Repeat("?,", len(b.keys)), ",")
	at, end := make([]any, len(b.keys)), make([]any, len(b.keys))
	dest := make([]any, len(b.keys))
	for i := range b.keys {
		at[i], dest[i] = int64(math.MinInt64), &end[i]
	}
	find := fmt.Sprintf("SELECT %s FROM %s WHERE (%s) > (%s) ORDER BY %s LIMIT 1 OFFSET %d", keys, b.table, keys, marks, keys, sweepStep)
	some := fmt.Sprintf("DELETE FROM %s WHERE (%s) > (%s) AND (%s) <= (%s) AND %s < ?", b.table, keys, marks, keys, marks, b.age)
	rest := fmt.Sprintf("DELETE FROM %s WHERE (%s) > (%s) AND %s < ?", b.table, keys, marks, b.age)
	for {
		err := s.events.reader.QueryRowContext(ctx, find, at...).Scan(dest...)
		if errors.Is(err, sql.ErrNoRows) {
			_, err := s.events.writer.ExecContext(ctx, rest, append(append([]any{}, at...), b.limit)...)
			return kindOf(err, "remove old events")
		}
		if err != nil {
			return kindOf(err, "remove old events")
		}
		if _, err := s.events.writer.ExecContext(ctx, some, append(append(append([]any{}, at...), end...), b.limit)...); err != nil {
			return kindOf(err, "remove old events")
		}
		copy(at, end)
	}
}

// Forget removes a user with everything that is known of them in an environment. What arrives later is a new user's.
func (s *Store) Forget(ctx context.Context, environment, key string) error {
	if err := s.Settle(ctx); err != nil {
		return err
	}
	s.folding.work.Lock() // or a fold under way would use the number that goes
	defer s.folding.work.Unlock()
	s.users.forget()
	tx, err := s.events.writer.BeginTx(ctx, nil)
	if err != nil {
		return kindOf(err, "forget a user")
	}
	defer tx.Rollback()
	var id int64
	switch err := tx.QueryRowContext(ctx, "SELECT id FROM users WHERE environment = ? AND key = ?", s.names.id(environment, ofEnvironment, ""), key).Scan(&id); {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return kindOf(err, "forget a user")
	}
	for _, text := range []string{
		"DELETE FROM exposures WHERE user = ?1 AND flag IN (SELECT id FROM names WHERE environment = ?2 AND kind = 1)",
		"DELETE FROM metrics WHERE user = ?1 AND metric IN (SELECT id FROM names WHERE environment = ?2 AND kind = 2)",
		"DELETE FROM users WHERE id = ?1 AND ?2 <> ''",
	} {
		if _, err := tx.ExecContext(ctx, text, id, environment); err != nil {
			return kindOf(err, "forget a user")
		}
	}
	return kindOf(tx.Commit(), "forget a user")
}
