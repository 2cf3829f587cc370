package track

import (
	"cmp"
	"database/sql"
	"errors"
	"slices"
	"strings"
)

// folder folds one part of the journal in one transaction. Everything is written in the order of its key.
type folder struct {
	tx    *sql.Tx
	store *Store
	batch folded
	names map[nameKey]int64 // that are new, for the store once the transaction is kept
	hour  int64
	ids   map[userKey]int64
	next  int64 // number of the next metric event
}

func (f *folder) run() error {
	if err := f.tx.QueryRow("SELECT events FROM folded").Scan(&f.next); err != nil {
		return kindOf(err, "fold events")
	}
	for _, step := range []func() error{f.resolveNames, f.resolveUsers, f.exposures, f.metrics, f.marks} {
		if err := step(); err != nil {
			return err
		}
	}
	_, err := f.tx.Exec("UPDATE folded SET seq = ?, events = ?", f.batch.upTo, f.next)
	return kindOf(err, "fold events")
}

// latest is what is newest about a name.
type latest struct {
	at  int64
	set string
}

// resolveNames gives new names a number and notes when each was last heard of.
func (f *folder) resolveNames() error {
	seen := map[nameKey]latest{}
	see := func(k nameKey, at int64, set string) {
		if l, ok := seen[k]; !ok || at >= l.at {
			if set == "" {
				set = l.set
			}
			seen[k] = latest{at, set}
		}
	}
	for i := range f.batch.records {
		r := &f.batch.records[i]
		see(nameKey{environment: r.environment}, r.at, "")
		if r.kind == Metric {
			see(nameKey{r.environment, ofMetric, r.name}, r.at, "")
			continue
		}
		see(nameKey{r.environment, ofFlag, r.name}, r.at, r.set)
		see(nameKey{r.environment, ofVariant, r.variant}, r.at, "")
	}
	for k, l := range seen {
		id := f.store.names.id(k.environment, k.kind, k.name)
		if id == 0 {
			k = nameKey{strings.Clone(k.environment), k.kind, strings.Clone(k.name)} // or it keeps the journal's row in memory
			res, err := f.tx.Exec("INSERT INTO names (environment, kind, name, flag_set, last) VALUES (?, ?, ?, ?, ?)", k.environment, k.kind, k.name, l.set, l.at)
			if err != nil {
				return kindOf(err, "fold events")
			}
			if f.names[k], err = res.LastInsertId(); err != nil {
				return kindOf(err, "fold events")
			}
			continue
		}
		_, err := f.tx.Exec("UPDATE names SET last = max(last, ?), flag_set = CASE WHEN ? = '' THEN flag_set ELSE ? END WHERE id = ?", l.at, l.set, l.set, id)
		if err != nil {
			return kindOf(err, "fold events")
		}
	}
	return nil
}

func (f *folder) name(environment string, kind int, name string) int64 {
	if id := f.store.names.id(environment, kind, name); id != 0 {
		return id
	}
	return f.names[nameKey{environment, kind, name}]
}

// resolveUsers gives new users a number and notes the day on which each was last heard of.
func (f *folder) resolveUsers() error {
	var missing []userKey
	f.ids = make(map[userKey]int64, len(f.batch.records))
	day := f.hour / 24
	for i := range f.batch.records {
		r := &f.batch.records[i]
		k := userKey{r.environment, r.key}
		if _, ok := f.ids[k]; ok {
			continue
		}
		if u, ok := f.store.users.byKey[k]; ok && u.day == day {
			f.ids[k] = u.id
			continue
		}
		f.ids[k] = 0
		missing = append(missing, k)
	}
	slices.SortFunc(missing, func(a, b userKey) int {
		return cmp.Or(strings.Compare(a.environment, b.environment), strings.Compare(a.key, b.key))
	})
	find, err := f.tx.Prepare("SELECT id, day FROM users WHERE environment = ? AND key = ?")
	if err != nil {
		return kindOf(err, "fold events")
	}
	defer find.Close()
	add, err := f.tx.Prepare("INSERT INTO users (environment, key, day) VALUES (?, ?, ?)")
	if err != nil {
		return kindOf(err, "fold events")
	}
	defer add.Close()
	for _, k := range missing {
		id, err := f.user(find, add, k, day)
		if err != nil {
			return kindOf(err, "fold events")
		}
		f.ids[k] = id
		f.store.users.put(k, user{id, day})
	}
	return nil
}

func (f *folder) user(find, add *sql.Stmt, k userKey, day int64) (id int64, err error) {
	var seen int64
	environment := f.name(k.environment, ofEnvironment, "")
	switch err := find.QueryRow(environment, k.key).Scan(&id, &seen); {
	case errors.Is(err, sql.ErrNoRows):
		res, err := add.Exec(environment, k.key, day)
		if err != nil {
			return 0, err
		}
		return res.LastInsertId()
	case err != nil:
		return 0, err
	case seen < day:
		_, err := f.tx.Exec("UPDATE users SET day = ? WHERE id = ?", day, id)
		return id, err
	}
	return id, nil
}

type exposureKey struct{ flag, user, hour, variant int64 }

func (k exposureKey) compare(o exposureKey) int {
	return cmp.Or(cmp.Compare(k.flag, o.flag), cmp.Compare(k.user, o.user), cmp.Compare(k.hour, o.hour), cmp.Compare(k.variant, o.variant))
}

type exposureRow struct {
	key         exposureKey
	first, last int64
	context     string
}

func (f *folder) exposures() error {
	rows := map[exposureKey]exposureRow{}
	for i := range f.batch.records {
		r := &f.batch.records[i]
		if r.kind != Exposure {
			continue
		}
		k := exposureKey{f.name(r.environment, ofFlag, r.name), f.ids[userKey{r.environment, r.key}], hourOf(r.at), f.name(r.environment, ofVariant, r.variant)}
		row, ok := rows[k]
		if !ok {
			row = exposureRow{key: k, first: r.at, last: r.at, context: r.context}
		}
		if r.at < row.first {
			row.context = r.context
		}
		row.first, row.last = min(row.first, r.at), max(row.last, r.at)
		rows[k] = row
	}
	sorted := make([]exposureRow, 0, len(rows))
	for _, row := range rows {
		sorted = append(sorted, row)
	}
	slices.SortFunc(sorted, func(a, b exposureRow) int { return a.key.compare(b.key) })
	in, err := newInserter(f.tx, "INSERT INTO exposures (flag, user, hour, variant, first, last, context) VALUES ", "(?,?,?,?,?,?,?)",
		` ON CONFLICT (flag, user, hour, variant) DO UPDATE SET last = max(last, excluded.last),
		  context = CASE WHEN excluded.first < first THEN excluded.context ELSE context END, first = min(first, excluded.first)
		  WHERE excluded.first < first OR excluded.last > last`, 7)
	if err != nil {
		return err
	}
	for _, r := range sorted {
		if err := in.add(r.key.flag, r.key.user, r.key.hour, r.key.variant, r.first, r.last, nullable(r.context)); err != nil {
			return err
		}
	}
	return in.flush()
}

func hourOf(ms int64) int64 { return ms / 3_600_000 }

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (f *folder) metrics() error {
	type metricRow struct {
		metric, user, at, n int64
		record              int
	}
	var rows []metricRow
	for i := range f.batch.records {
		r := &f.batch.records[i]
		if r.kind == Metric {
			rows = append(rows, metricRow{f.name(r.environment, ofMetric, r.name), f.ids[userKey{r.environment, r.key}], r.at, f.next, i})
			f.next++
		}
	}
	slices.SortFunc(rows, func(a, b metricRow) int {
		return cmp.Or(cmp.Compare(a.metric, b.metric), cmp.Compare(a.user, b.user), cmp.Compare(a.at, b.at), cmp.Compare(a.n, b.n))
	})
	in, err := newInserter(f.tx, "INSERT INTO metrics (metric, user, time, n, value, context) VALUES ", "(?,?,?,?,?,?)", "", 6)
	if err != nil {
		return err
	}
	for _, m := range rows {
		r := &f.batch.records[m.record]
		if err := in.add(m.metric, m.user, m.at, m.n, r.value, nullable(r.context)); err != nil {
			return err
		}
	}
	return in.flush()
}

func (f *folder) marks() error {
	slices.SortFunc(f.batch.marks, func(a, b mark) int { return cmp.Compare(a.hash, b.hash) })
	in, err := newInserter(f.tx, "INSERT INTO ids (hash, print, hour) VALUES ", "(?,?,?)", " ON CONFLICT (hash) DO UPDATE SET print = excluded.print, hour = excluded.hour", 3)
	if err != nil {
		return err
	}
	for _, m := range f.batch.marks {
		if err := in.add(m.hash, m.print, f.hour); err != nil {
			return err
		}
	}
	return in.flush()
}

// users are some of those whose numbers are known.
type users struct{ byKey map[userKey]user }

type userKey struct{ environment, key string }

type user struct{ id, day int64 }

const maxUsers = 100_000

func (u *users) put(k userKey, v user) {
	if u.byKey == nil || len(u.byKey) >= maxUsers {
		u.byKey = make(map[userKey]user)
	}
	u.byKey[userKey{strings.Clone(k.environment), strings.Clone(k.key)}] = v
}

// forget drops all: some were numbered by a transaction that was not kept.
func (u *users) forget() { u.byKey = nil }
