package sqltext

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/store"
)

// The columns that ScanDoc and ScanEvent read, in order.
const (
	docColumns   = "kind, name, rev, updated, body"
	eventColumns = "seq, time, type, actor, subject, data, prev, hash"
)

// Doc selects one document by kind and name. Schema is quoted as the database wants it.
func Doc(schema string) string {
	return "SELECT " + docColumns + " FROM " + schema + ".docs WHERE kind = $1 AND name = $2"
}

// Docs selects a checked page of documents.
func Docs(schema string, p store.Page) (string, []any) {
	w := where{}
	w.add("kind = $%d", p.Kind)
	w.prefix("name", p.Prefix)
	if p.After != "" {
		w.add("name > $%d", p.After)
	}
	return w.query("SELECT "+docColumns+" FROM "+schema+".docs", " ORDER BY name", p.Limit)
}

// Events selects the events of a checked query.
func Events(schema string, q store.EventQuery) (string, []any) {
	w := where{}
	w.add("seq > $%d", q.After)
	if q.Before != 0 {
		w.add("seq < $%d", q.Before)
	}
	if q.Subject != "" {
		w.add("subject = $%d", q.Subject)
	}
	if q.Actor != "" {
		w.add("actor = $%d", q.Actor)
	}
	if !q.Since.IsZero() {
		w.add("time >= $%d", q.Since.UnixMicro())
	}
	if !q.Until.IsZero() {
		w.add("time < $%d", q.Until.UnixMicro())
	}
	if !q.Removed {
		w.add("type <> $%d", "")
	}
	w.prefix("type", q.Type)
	order := " ORDER BY seq"
	if q.Backward {
		order += " DESC"
	}
	return w.query("SELECT "+eventColumns+" FROM "+schema+".events", order, q.Limit)
}

// AllDocs and AllEvents select everything in the order of a backup.
func AllDocs(schema string) string {
	return "SELECT " + docColumns + " FROM " + schema + ".docs ORDER BY kind, name"
}

func AllEvents(schema string) string {
	return "SELECT " + eventColumns + " FROM " + schema + ".events ORDER BY seq"
}

// LastEvent selects the event with the greatest number.
func LastEvent(schema string) string {
	return "SELECT " + eventColumns + " FROM " + schema + ".events ORDER BY seq DESC LIMIT 1"
}

// Forget removes the content of events up to a number and leaves their place and hashes.
func Forget(schema string) string {
	return "UPDATE " + schema + ".events SET time = 0, type = '', actor = '', subject = '', data = NULL WHERE seq <= $1 AND type <> ''"
}

// Hashes selects the chain hashes of the events after a number and up to another.
func Hashes(schema string) string {
	return "SELECT hash FROM " + schema + ".events WHERE seq > $1 AND seq <= $2 ORDER BY seq"
}

// Tile selects a stored tile, PutTile puts one.
func Tile(schema string) string {
	return "SELECT hashes FROM " + schema + ".tiles WHERE level = $1 AND n = $2"
}

func PutTile(schema string) string {
	return "INSERT INTO " + schema + ".tiles (level, n, hashes) VALUES ($1, $2, $3) ON CONFLICT (level, n) DO UPDATE SET hashes = excluded.hashes"
}

// Head selects the end of the record, SetHead writes it.
func Head(schema string) string { return "SELECT seq, hash, size, edge FROM " + schema + ".chain" }

func SetHead(schema string) string {
	return "UPDATE " + schema + ".chain SET seq = $1, hash = $2, size = $3, edge = $4"
}

// ScanHead reads a row of Head.
func ScanHead(r Row) (seq int64, hash string, tree audit.Tree, err error) {
	var size int64
	var edge []byte
	if err = r.Scan(&seq, &hash, &size, &edge); err == nil {
		tree, err = audit.ParseTree(size, edge)
	}
	return seq, hash, tree, err
}

type where struct {
	conds []string
	args  []any
}

func (w *where) add(cond string, arg any) {
	w.args = append(w.args, arg)
	w.conds = append(w.conds, fmt.Sprintf(cond, len(w.args)))
}

// prefix asks for a range, which an index answers and LIKE with its wildcards may not.
func (w *where) prefix(column, prefix string) {
	if prefix == "" {
		return
	}
	w.add(column+" >= $%d", prefix)
	if end := ceiling(prefix); end != "" {
		w.add(column+" < $%d", end)
	}
}

func (w *where) query(sel, order string, limit int) (string, []any) {
	w.args = append(w.args, limit)
	return fmt.Sprintf("%s WHERE %s%s LIMIT $%d", sel, strings.Join(w.conds, " AND "), order, len(w.args)), w.args
}

// ceiling returns the least text above all that begin with prefix, empty when there is none. It steps by code
// points rather than bytes, so that the answer is UTF-8 too.
func ceiling(prefix string) string {
	for prefix != "" {
		r, n := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-n]
		switch {
		case r == 0xD7FF: // the surrogates after it are no text
			return prefix + "\uE000"
		case r < utf8.MaxRune:
			return prefix + string(r+1)
		}
	}
	return ""
}

// Row is a row of any driver.
type Row interface{ Scan(dest ...any) error }

// ScanDoc reads a row of Doc, Docs or AllDocs.
func ScanDoc(r Row) (store.Doc, error) {
	var d store.Doc
	var updated int64
	var body []byte
	err := r.Scan(&d.Kind, &d.Name, &d.Rev, &updated, &body)
	d.Updated, d.Body = time.UnixMicro(updated).UTC(), json.RawMessage(body)
	return d, err
}

// ScanEvent reads a row of Events, AllEvents or LastEvent.
func ScanEvent(r Row) (audit.Event, error) {
	var e audit.Event
	var at int64
	var data []byte
	err := r.Scan(&e.Seq, &at, &e.Type, &e.Actor, &e.Subject, &data, &e.Prev, &e.Hash)
	e.Time, e.Data = time.UnixMicro(at).UTC(), json.RawMessage(data)
	return e, err
}

// Text is what is bound for JSON: the text itself, or NULL when there is none.
func Text(b json.RawMessage) any {
	if len(b) == 0 {
		return nil
	}
	return string(b)
}
