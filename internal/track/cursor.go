package track

import (
	"context"
	"database/sql"
	"encoding/json"
)

// exposed is the exposure of one user, in the period of a query.
type exposed struct {
	user, at, variant int64
	several           bool
	context           string
}

// exposures walks through the users of a flag.
type exposures struct {
	rows         *sql.Rows
	since, until int64
	row          exposureRow
	have         bool // row is the next one
	scanned
}

// scanned is where the columns of a row go. Each costs time a million times, so attributes are read only where they are asked for.
type scanned struct {
	columns [5]any
	dest    []any
}

func (s *scanned) dests(n int) {
	for i := range n {
		s.dest = append(s.dest, &s.columns[i])
	}
}

func (s *scanned) integer(i int) int64 {
	n, _ := s.columns[i].(int64)
	return n
}

func (s *scanned) text(i int) string {
	t, _ := s.columns[i].(string)
	return t
}

func openExposures(ctx context.Context, tx *sql.Tx, flag, since, until int64, attributes bool) (*exposures, error) {
	e := &exposures{since: since, until: until}
	columns, n := "user, variant, first, last", 4
	if attributes {
		columns, n = columns+", context", 5
	}
	e.dests(n)
	var err error
	e.rows, err = tx.QueryContext(ctx, "SELECT "+columns+" FROM exposures WHERE flag = ? AND hour >= ? AND hour <= ? ORDER BY user, hour, variant",
		flag, hourOf(since), hourOf(until))
	if err != nil {
		return nil, kindOf(err, "read exposures")
	}
	return e, e.step()
}

func (e *exposures) step() error {
	if e.have = e.rows.Next(); !e.have {
		return kindOf(e.rows.Err(), "read exposures")
	}
	if err := e.rows.Scan(e.dest...); err != nil {
		return kindOf(err, "read exposures")
	}
	e.row = exposureRow{key: exposureKey{user: e.integer(0), variant: e.integer(1)}, first: e.integer(2), last: e.integer(3), context: e.text(4)}
	return nil
}

// next returns the next user who was exposed in the period; false: there is none.
//
// Of an hour the first and the last exposure are known. When the period begins between them the last one counts, the
// only one of which it is certain that it is in it.
func (e *exposures) next() (exposed, bool, error) {
	for e.have {
		u := exposed{user: e.row.key.user}
		found := false
		for e.have && e.row.key.user == u.user {
			at := e.row.first
			if at < e.since {
				at = e.row.last
			}
			if at >= e.since && at < e.until {
				u.several = u.several || found && u.variant != e.row.key.variant
				if !found || at < u.at {
					u.at, u.variant, u.context = at, e.row.key.variant, e.row.context
				}
				found = true
			}
			if err := e.step(); err != nil {
				return u, false, err
			}
		}
		if found {
			return u, true, nil
		}
	}
	return exposed{}, false, nil
}

// happened is one metric event of a user.
type happened struct {
	at    int64
	value float64
}

// happenings walks through the events of a metric in order of users, beside a walk through exposures.
type happenings struct {
	ctx          context.Context
	stmt         *sql.Stmt
	rows         *sql.Rows
	metric       int64
	since, until int64
	where        map[string]string
	have         bool // user and event are the next ones
	user         int64
	event        happened
	found        []happened
	scanned
}

// farBehind is after how many events of users that are not asked for the walk jumps.
const farBehind = 200

func openHappenings(ctx context.Context, tx *sql.Tx, metric, since, until int64, where map[string]string) (*happenings, error) {
	h := &happenings{ctx: ctx, metric: metric, since: since, until: until, where: where}
	columns, n := "user, time, value", 3
	if len(where) > 0 {
		columns, n = columns+", context", 4
	}
	h.dests(n)
	var err error
	h.stmt, err = tx.PrepareContext(ctx, "SELECT "+columns+" FROM metrics WHERE metric = ? AND user >= ? AND time >= ? AND time < ? ORDER BY user, time, n")
	if err != nil {
		return nil, kindOf(err, "read metric events")
	}
	return h, h.jump(0)
}

func (h *happenings) jump(user int64) error {
	h.close()
	var err error
	if h.rows, err = h.stmt.QueryContext(h.ctx, h.metric, user, h.since, h.until); err != nil {
		return kindOf(err, "read metric events")
	}
	return h.step()
}

func (h *happenings) close() {
	if h.rows != nil {
		_ = h.rows.Close()
	}
}

func (h *happenings) step() error {
	for h.rows.Next() {
		if err := h.rows.Scan(h.dest...); err != nil {
			return kindOf(err, "read metric events")
		}
		if !has(h.text(3), h.where) {
			continue
		}
		h.user, h.event.at = h.integer(0), h.integer(1)
		h.event.value, _ = h.columns[2].(float64)
		h.have = true
		return nil
	}
	h.have = false
	return kindOf(h.rows.Err(), "read metric events")
}

// of returns the events of a user in order of time; users must be asked for in order. The slice is good until the next call.
// Without a metric there are none.
func (h *happenings) of(user int64) ([]happened, error) {
	if h == nil {
		return nil, nil
	}
	h.found = h.found[:0]
	for behind := 0; h.have && h.user < user; behind++ {
		if behind == farBehind {
			if err := h.jump(user); err != nil {
				return nil, err
			}
			continue
		}
		if err := h.step(); err != nil {
			return nil, err
		}
	}
	for h.have && h.user == user {
		h.found = append(h.found, h.event)
		if err := h.step(); err != nil {
			return nil, err
		}
	}
	return h.found, nil
}

// has reports whether attributes, a JSON object, are as wanted.
func has(attributes string, wanted map[string]string) bool {
	if len(wanted) == 0 {
		return true
	}
	if attributes == "" {
		return false
	}
	var all map[string]json.RawMessage
	if json.Unmarshal([]byte(attributes), &all) != nil {
		return false
	}
	for k, want := range wanted {
		raw, ok := all[k]
		if !ok {
			return false
		}
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw) // a number or a boolean as it is written
		}
		if text != want {
			return false
		}
	}
	return true
}
