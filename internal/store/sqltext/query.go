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
