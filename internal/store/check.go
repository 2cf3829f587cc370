package store

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
)

// What a store takes at most. The limits keep one caller from stopping all others, whose writes share a transaction.
const (
	MaxBody  = 4 << 20  // bytes of one document's body or one event's data
	MaxName  = 253      // bytes of a kind, a name or an event's type
	MaxField = 1024     // bytes of an event's actor or subject
	MaxWrite = 64 << 20 // bytes of all bodies and data of one write
	MaxItems = 10000    // documents and events of one write
	MaxLimit = 10000    // documents or events of one answer
)

const defaultLimit = 1000

// Check refuses a write that no store may take, whatever it holds.
func (w Write) Check() error {
	if n := len(w.Puts) + len(w.Deletes) + len(w.Events); n > MaxItems {
		return errs.E(errs.Invalid, "a write of %d documents and events: at most %d are taken at once", n, MaxItems)
	}
	if n := w.Size(); n > MaxWrite {
		return errs.E(errs.Invalid, "a write of %d bytes: at most %d are taken at once", n, MaxWrite)
	}
	seen := make(map[[2]string]bool, len(w.Puts)+len(w.Deletes))
	for _, d := range w.Puts {
		if err := checkDoc(d, seen); err != nil {
			return err
		}
		if err := checkJSON(d.Body); err != nil {
			return errs.Wrap(errs.Invalid, err, "body of %s/%s", d.Kind, d.Name)
		}
		if !d.Updated.IsZero() && !storable(d.Updated) {
			return errs.E(errs.Invalid, "time of %s/%s: the year is %d, expected 0 to 9999", d.Kind, d.Name, d.Updated.Year())
		}
	}
	for _, d := range w.Deletes {
		if err := checkDoc(d, seen); err != nil {
			return err
		}
		if d.Rev == 0 {
			return errs.E(errs.Invalid, "delete of %s/%s: expected the revision that is deleted", d.Kind, d.Name)
		}
	}
	for _, e := range w.Events {
		if err := CheckEvent(e); err != nil {
			return err
		}
	}
	return w.checkForget()
}

// checkForget refuses to remove content without an event that says so: verification would find it missing.
func (w Write) checkForget() error {
	if w.Forget == 0 {
		return nil
	}
	for _, e := range w.Events {
		var p audit.Pruned
		if e.Type == audit.EventPruned && json.Unmarshal(e.Data, &p) == nil && p.Through == w.Forget {
			return nil
		}
	}
	return errs.E(errs.Invalid, "the content of events up to %d cannot be removed: expected an event %s that says so", w.Forget, audit.EventPruned)
}

// Size counts the bytes of all bodies and data.
func (w Write) Size() int {
	n := 0
	for _, d := range w.Puts {
		n += len(d.Body)
	}
	for _, e := range w.Events {
		n += len(e.Data)
	}
	return n
}

func checkDoc(d Doc, seen map[[2]string]bool) error {
	if err := checkText("kind", d.Kind, 1, MaxName); err != nil {
		return err
	}
	if err := checkText("name", d.Name, 1, MaxName); err != nil {
		return err
	}
	if d.Rev < 0 {
		return errs.E(errs.Invalid, "%s/%s: revision %d, expected 0 or more", d.Kind, d.Name, d.Rev)
	}
	key := [2]string{d.Kind, d.Name}
	if seen[key] {
		return errs.E(errs.Invalid, "%s/%s is named twice in one write", d.Kind, d.Name)
	}
	seen[key] = true
	return nil
}

// CheckDoc refuses a document that no store may hold.
func CheckDoc(d Doc) error { return Write{Puts: []Doc{d}}.Check() }

// CheckEvent refuses an event that no store may hold.
func CheckEvent(e audit.Event) error {
	if err := checkText("type of an event", e.Type, 1, MaxName); err != nil {
		return err
	}
	if err := checkText("actor of event "+e.Type, e.Actor, 1, MaxField); err != nil {
		return err
	}
	if err := checkText("subject of event "+e.Type, e.Subject, 0, MaxField); err != nil {
		return err
	}
	if e.Time.IsZero() || !storable(e.Time) {
		return errs.E(errs.Invalid, "event %s: expected a time in the years 0 to 9999", e.Type)
	}
	if len(e.Data) == 0 {
		return nil
	}
	if err := checkJSON(e.Data); err != nil {
		return errs.Wrap(errs.Invalid, err, "data of event %s", e.Type)
	}
	return nil
}

// storable says that t can be written down: the year 10000 has no RFC 3339 form.
func storable(t time.Time) bool {
	y := t.UTC().Year()
	return y >= 0 && y <= 9999
}

func checkText(what, s string, least, most int) error {
	switch {
	case len(s) < least:
		return errs.E(errs.Invalid, "%s is empty", what)
	case len(s) > most:
		return errs.E(errs.Invalid, "%s has %d bytes: expected at most %d", what, len(s), most)
	case !utf8.ValidString(s):
		return errs.E(errs.Invalid, "%s %q is not UTF-8", what, s)
	case strings.ContainsRune(s, 0):
		return errs.E(errs.Invalid, "%s %q holds a zero byte", what, s)
	}
	return nil
}

func checkJSON(b []byte) error {
	switch {
	case len(b) > MaxBody:
		return errs.E(errs.Invalid, "%d bytes: expected at most %d", len(b), MaxBody)
	case !utf8.Valid(b):
		return errs.E(errs.Invalid, "not UTF-8: expected JSON")
	case !json.Valid(b):
		return errs.E(errs.Invalid, "not valid JSON")
	}
	return nil
}

// Check refuses a question that cannot be answered and fills in the limit.
func (p Page) Check() (Page, error) {
	err := checkText("kind", p.Kind, 1, MaxName)
	if err == nil {
		err = checkText("prefix", p.Prefix, 0, MaxName)
	}
	if err == nil {
		err = checkText("after", p.After, 0, MaxName)
	}
	if err == nil {
		p.Limit, err = checkLimit(p.Limit)
	}
	return p, err
}

// Check refuses a question that cannot be answered and fills in the limit.
func (q EventQuery) Check() (EventQuery, error) {
	if q.After < 0 || q.Before < 0 {
		return q, errs.E(errs.Invalid, "events after %d and before %d: expected 0 or more", q.After, q.Before)
	}
	err := checkText("subject", q.Subject, 0, MaxField)
	if err == nil {
		err = checkText("type", q.Type, 0, MaxName)
	}
	if err == nil {
		err = checkText("actor", q.Actor, 0, MaxField)
	}
	if err == nil && (!q.Since.IsZero() && !storable(q.Since) || !q.Until.IsZero() && !storable(q.Until)) {
		err = errs.E(errs.Invalid, "events from %v to %v: expected years from 0 to 9999", q.Since, q.Until)
	}
	if err == nil {
		q.Limit, err = checkLimit(q.Limit)
	}
	return q, err
}

func checkLimit(n int) (int, error) {
	switch {
	case n < 0 || n > MaxLimit:
		return n, errs.E(errs.Invalid, "limit %d: expected 0 to %d", n, MaxLimit)
	case n == 0:
		return defaultLimit, nil
	}
	return n, nil
}
