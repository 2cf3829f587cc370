package track

import (
	"context"
	"database/sql"
	"encoding/json"
)

// taken asks a Take about users, whose keys it looks up.
type taken struct {
	ctx  context.Context
	take Take
	keys *sql.Stmt
}

func openTaken(ctx context.Context, tx *sql.Tx, take Take) (*taken, error) {
	if take == nil {
		return &taken{}, nil
	}
	keys, err := tx.PrepareContext(ctx, "SELECT key FROM users WHERE id = ?")
	return &taken{ctx, take, keys}, kindOf(err, "read users")
}

func (t *taken) close() {
	if t.keys != nil {
		_ = t.keys.Close()
	}
}

func (t *taken) takes(u exposed) (bool, error) {
	if t.take == nil {
		return true, nil
	}
	var key string
	if err := t.keys.QueryRowContext(t.ctx, u.user).Scan(&key); err != nil {
		return false, kindOf(err, "read a user")
	}
	var attributes map[string]any
	if u.context != "" && json.Unmarshal([]byte(u.context), &attributes) != nil {
		attributes = nil
	}
	return t.take(key, attributes), nil
}
