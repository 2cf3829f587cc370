package app

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

const (
	schemaPath    = "/.ringfence/schema/"
	schemaWait    = 60 * time.Second // for something new, at most
	schemaWaiters = 1000
)

// schemaPage tells the programs of this machine which versions of their database's schema are live. It needs no control plane: it knows
// what was last heard.
type schemaPage struct {
	mu      sync.Mutex
	of      map[string]liveSchema // by service
	changed chan struct{}         // closed and replaced when something is new
	waiting int
	over    bool
}

// liveSchema is the answer for a service.
type liveSchema struct {
	Service string `json:"service"`
	fleet.Schema
	Use string `json:"use,omitempty"` // the newest that who asks understands and that is not about to go
	Tag string `json:"tag"`           // of all this: given as after, the answer waits for another one
}

func newSchemaPage() *schemaPage {
	return &schemaPage{of: map[string]liveSchema{}, changed: make(chan struct{})}
}

// set is told what is in force now.
func (p *schemaPage) set(services []fleet.Service) {
	of := map[string]liveSchema{}
	for _, s := range services {
		if s.Schema == nil {
			continue
		}
		raw, err := json.Marshal(s.Schema)
		if err != nil {
			continue // strings only
		}
		h := fnv.New64a()
		_, _ = h.Write(raw)
		of[s.Name] = liveSchema{Service: s.Name, Schema: *s.Schema, Tag: strconv.FormatUint(h.Sum64(), 36)}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	same := len(of) == len(p.of)
	for name, is := range of {
		same = same && p.of[name].Tag == is.Tag
	}
	if p.of = of; !same {
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

// close ends all waiting.
func (p *schemaPage) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.over = true
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

// ServeHTTP answers GET /.ringfence/schema/SERVICE?understands=A,B&after=TAG&wait=30s.
func (p *schemaPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, format string, args ...any) { http.Error(w, fmt.Sprintf(format, args...), status) }
	name, q := strings.TrimPrefix(r.URL.Path, schemaPath), r.URL.Query()
	after, wait := q.Get("after"), time.Duration(0)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(http.StatusMethodNotAllowed, "expected GET")
		return
	}
	if text := q.Get("wait"); text != "" {
		var err error
		if wait, err = time.ParseDuration(text); err != nil || wait < 0 || wait > schemaWait {
			refuse(http.StatusBadRequest, "wait: expected a duration of at most %s, such as 30s", schemaWait)
			return
		}
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // it may take longer than a request is given
	end := time.After(wait)
	for waited := false; ; {
		is, known, changed, err := p.look(name, after, wait > 0 && !waited)
		if err != "" {
			w.Header().Set("Retry-After", "1")
			refuse(http.StatusServiceUnavailable, "%s", err)
			return
		}
		if changed == nil {
			p.answer(w, is, known, q.Get("understands"))
			return
		}
		select {
		case <-changed:
		case <-end:
			waited = true
		case <-r.Context().Done():
			waited = true
		}
		p.mu.Lock()
		p.waiting--
		p.mu.Unlock()
	}
}

// look returns what is known, or what to wait for; err says why nobody may wait.
func (p *schemaPage) look(name, after string, mayWait bool) (is liveSchema, known bool, changed chan struct{}, err string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	is, known = p.of[name]
	if !mayWait || p.over || !known && after == "" || known && is.Tag != after {
		return is, known, nil, ""
	}
	if p.waiting >= schemaWaiters {
		return is, known, nil, "too many are waiting already"
	}
	p.waiting++
	return is, known, p.changed, ""
}

func (p *schemaPage) answer(w http.ResponseWriter, is liveSchema, known bool, understands string) {
	if !known {
		http.Error(w, "no service of that name uses a database here", http.StatusNotFound)
		return
	}
	for _, v := range is.Live { // the newest first
		if v != is.Going && slices.Contains(strings.Split(understands, ","), v) {
			is.Use = v
			break
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(is) // who broke off does not read it
}
