package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// person is a row as it should be, whichever version wrote it last.
type person struct {
	first, last, mail string
	age               int
	gone              bool
}

// seed is a row as it was made.
func seed(id int64) person {
	return person{first: fmt.Sprintf("First%d", id), last: fmt.Sprintf("Last%d", id), mail: fmt.Sprintf("m%d@example.com", id), age: int(id % 100)}
}

const slots = 256

// truth is what the rows should hold. Who works on a row holds its slot.
type truth struct {
	rows int64
	slot [slots]struct {
		sync.Mutex
		known map[int64]person // what differs from its seed
		added []int64
	}
}

func newTruth(rows int64) *truth {
	t := &truth{rows: rows}
	for i := range t.slot {
		t.slot[i].known = map[int64]person{}
	}
	return t
}

func (t *truth) of(id int64) (person, bool) {
	if p, ok := t.slot[id%slots].known[id]; ok {
		return p, !p.gone
	}
	return seed(id), id <= t.rows
}

// dialect is how a version of the program reads and writes.
type dialect struct {
	version                      string
	read, insert, update, remove string
	args                         func(person) []any
	scan                         func(pgx.Row) (person, error)
}

func older(version string) dialect {
	return dialect{
		version: version,
		read:    "SELECT name, age, email FROM people WHERE id = $1",
		insert:  "INSERT INTO people (name, age, email) VALUES ($1, $2, $3) RETURNING id",
		update:  "UPDATE people SET name = $2, age = $3, email = $4 WHERE id = $1",
		remove:  "DELETE FROM people WHERE id = $1",
		args:    func(p person) []any { return []any{p.first + " " + p.last, fmt.Sprint(p.age), p.mail} },
		scan: func(r pgx.Row) (p person, err error) {
			var name string
			var age *string
			if err = r.Scan(&name, &age, &p.mail); err != nil {
				return p, err
			}
			p.first, p.last, _ = strings.Cut(name, " ")
			if age != nil {
				_, err = fmt.Sscan(*age, &p.age)
			}
			return p, err
		},
	}
}

func newer(version string) dialect {
	return dialect{
		version: version,
		read:    "SELECT first_name, last_name, age, mail FROM people WHERE id = $1",
		insert:  "INSERT INTO people (first_name, last_name, age, mail) VALUES ($1, $2, $3, $4) RETURNING id",
		update:  "UPDATE people SET first_name = $2, last_name = $3, age = $4, mail = $5 WHERE id = $1",
		remove:  "DELETE FROM people WHERE id = $1",
		args:    func(p person) []any { return []any{p.first, p.last, p.age, p.mail} },
		scan: func(r pgx.Row) (p person, err error) {
			return p, r.Scan(&p.first, &p.last, &p.age, &p.mail)
		},
	}
}

// tally is what clients saw.
type tally struct {
	sync.Mutex
	took   []time.Duration
	writes int
	errors []string
	wrong  []string
}

func (t *tally) add(d time.Duration, write bool, err error) {
	t.Lock()
	defer t.Unlock()
	t.took = append(t.took, d)
	if write {
		t.writes++
	}
	if err != nil {
		t.errors = append(t.errors, err.Error())
	}
}

// quantile is of how long queries took.
func (t *tally) quantile(q float64) time.Duration {
	if len(t.took) == 0 {
		return 0
	}
	slices.Sort(t.took)
	return t.took[min(len(t.took)-1, int(q*float64(len(t.took))))]
}

// traffic is the clients of the versions that are used at the moment.
type traffic struct {
	address string
	truth   *truth
	workers int

	mu   sync.Mutex
	into *tally
}

// measure has what follows counted on its own, and returns what was counted so far.
func (t *traffic) measure() *tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.into
	t.into = &tally{}
	return last
}

func (t *traffic) tally() *tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.into
}

// begin has clients of a version work, so many writes a second in all, until the function that it returns is called, which
// returns when their sessions are closed.
func (t *traffic) begin(ctx context.Context, d dialect, writes int) (stop func(), err error) {
	inner, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	stop = func() { cancel(); wg.Wait() }
	for range t.workers {
		conn, err := pgx.Connect(ctx, t.address)
		if err == nil {
			_, err = conn.Exec(ctx, "SELECT ringfence_schema.use($1)", d.version)
		}
		if err != nil {
			stop()
			return nil, err
		}
		wg.Go(func() {
			defer conn.Close(context.WithoutCancel(ctx))
			t.work(inner, conn, d, time.Duration(float64(t.workers)*float64(time.Second)/float64(writes)))
		})
	}
	return stop, nil
}

func (t *traffic) work(ctx context.Context, conn *pgx.Conn, d dialect, every time.Duration) {
	next := time.Now().Add(rand.N(every))
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(next)):
		}
		if next = next.Add(every); time.Since(next) > time.Second {
			next = time.Now() // what was missed is not made up for
		}
		t.turn(context.WithoutCancel(ctx), conn, d)
	}
}

// turn reads a row, compares it, and writes it, or makes a new one.
func (t *traffic) turn(ctx context.Context, conn *pgx.Conn, d dialect) {
	fresh := person{first: fmt.Sprintf("f%x", rand.Uint32()), last: fmt.Sprintf("l%x", rand.Uint32()), mail: fmt.Sprintf("%x@example.com", rand.Uint32()), age: rand.IntN(100)}
	if rand.IntN(4) == 0 {
		var id int64
		if t.timed(true, func() error { return conn.QueryRow(ctx, d.insert, d.args(fresh)...).Scan(&id) }) {
			s := &t.truth.slot[id%slots]
			s.Lock()
			s.known[id] = fresh
			s.added = append(s.added, id)
			s.Unlock()
		}
		return
	}
	id := 1 + rand.Int64N(t.truth.rows)
	s := &t.truth.slot[id%slots]
	s.Lock()
	defer s.Unlock()
	if len(s.added) > 0 && rand.IntN(3) == 0 {
		id = s.added[rand.IntN(len(s.added))]
	}
	want, there := t.truth.of(id)
	if !there {
		return
	}
	var got person
	ok := t.timed(false, func() (err error) { got, err = d.scan(conn.QueryRow(ctx, d.read, id)); return err })
	if ok && got != want {
		into := t.tally()
		into.Lock()
		into.wrong = append(into.wrong, fmt.Sprintf("row %d by %s: %+v, expected %+v", id, d.version, got, want))
		into.Unlock()
	}
	if rand.IntN(20) == 0 {
		if t.timed(true, func() error { _, err := conn.Exec(ctx, d.remove, id); return err }) {
			s.known[id] = person{gone: true}
		}
		return
	}
	// Now and then only a part changes: what the other version wrote beside it has to stay.
	switch rand.IntN(4) {
	case 0:
		fresh = person{first: want.first, last: want.last, age: want.age, mail: fresh.mail}
	case 1:
		fresh = person{first: want.first, last: fresh.last, age: want.age, mail: want.mail}
	}
	if t.timed(true, func() error { _, err := conn.Exec(ctx, d.update, append([]any{id}, d.args(fresh)...)...); return err }) {
		s.known[id] = fresh
	}
}

func (t *traffic) timed(write bool, do func() error) bool {
	begin := time.Now()
	err := do()
	t.tally().add(time.Since(begin), write, err)
	return err == nil
}

// compare reads every row by a version, and returns how many differ from what they should be.
func (t *traffic) compare(ctx context.Context, d dialect) (rows, wrong int64, example string, err error) {
	conn, err := pgx.Connect(ctx, t.address)
	if err != nil {
		return 0, 0, "", err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "SELECT ringfence_schema.use($1)", d.version); err != nil {
		return 0, 0, "", err
	}
	found, err := conn.Query(ctx, strings.Replace(strings.TrimSuffix(d.read, " WHERE id = $1"), "SELECT ", "SELECT id, ", 1))
	if err != nil {
		return 0, 0, "", err
	}
	defer found.Close()
	for found.Next() {
		var id int64
		got, err := d.scan(withID{found, &id})
		if err != nil {
			return rows, wrong, example, err
		}
		rows++
		if want, there := t.truth.of(id); !there || got != want {
			wrong++
			example = fmt.Sprintf("row %d by %s: %+v, expected %+v", id, d.version, got, want)
		}
	}
	if expected := t.truth.count(); rows != expected {
		wrong += max(rows-expected, expected-rows)
		example = fmt.Sprintf("%d rows by %s, expected %d", rows, d.version, expected)
	}
	return rows, wrong, example, found.Err()
}

// withID scans a row that has its id first.
type withID struct {
	pgx.Rows
	id *int64
}

func (w withID) Scan(dest ...any) error { return w.Rows.Scan(append([]any{w.id}, dest...)...) }

// count is how many rows there should be.
func (t *truth) count() int64 {
	n := t.rows
	for i := range t.slot {
		for id, p := range t.slot[i].known {
			switch {
			case id <= t.rows && p.gone:
				n--
			case id > t.rows && !p.gone:
				n++
			}
		}
	}
	return n
}
