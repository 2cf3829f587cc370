package serving

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
)

// setIn is a set in an environment.
type setIn struct{ set, env string }

// made is a set as it is served.
type made struct {
	document *flag.Document
	live     []byte // what moves, as it was
	served   flag.Served
}

// serve makes what an environment is served, and tells who waits when that is something else. e.look is held.
func (e *Engine) serve(env string, in inputs) {
	var sets []flag.Served
	feed := flag.Feed{Environment: env, Blank: in.head == 0, Sets: []flag.FedSet{}, Ramps: []fleet.Service{}}
	for _, name := range in.names() {
		if !in.sets[name].HasEnvironment(env) {
			continue
		}
		if m, ok := e.make(setIn{name, env}, in); ok {
			sets = append(sets, m.served)
			feed.Sets = append(feed.Sets, flag.FedSet{Name: name, Raw: m.served.Raw})
		}
	}
	for _, k := range in.keys {
		if k.Environment == env {
			feed.Keys = append(feed.Keys, k)
		}
	}
	for _, s := range in.exposures {
		if subject, err := flag.ParseSubject(s.Name); err == nil && subject.Environment == env {
			feed.Ramps = append(feed.Ramps, s)
		}
	}
	slices.SortFunc(feed.Ramps, func(a, b fleet.Service) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	feed.Version = versionOf(feed)
	e.mu.Lock()
	at := e.envs[env]
	same := at != nil && feed.Version == at.Version
	e.mu.Unlock()
	if same {
		return
	}
	snapshot := flag.SnapshotOf(sets...)
	e.mu.Lock()
	defer e.mu.Unlock()
	if at == nil {
		at = &environment{changed: make(chan struct{})}
		e.envs[env] = at
	}
	at.Feed, at.snapshot = feed, snapshot
	close(at.changed)
	at.changed = make(chan struct{})
}

// make lowers and compiles a set, unless it is served as it shall be already.
func (e *Engine) make(key setIn, in inputs) (made, bool) {
	doc, last := in.sets[key.set], e.lastGood[key]
	moving := in.live(key.set, key.env)
	live, err := json.Marshal(moving)
	if err == nil && last.document == doc && bytes.Equal(last.live, live) {
		return last, true
	}
	raw, problems := flag.Lower(doc, key.env, moving)
	for _, p := range problems {
		e.Logger.Error("a flag set cannot be served as it is declared", "set", key.set, "environment", key.env, "err", p.Text())
	}
	if raw == nil {
		return last, last.document != nil
	}
	set, faults := flag.Parse(raw)
	if set == nil {
		e.Logger.Error("a flag set cannot be served", "set", key.set, "environment", key.env, "err", faults[0].Text())
		return last, last.document != nil
	}
	m := made{doc, live, flag.Served{Set: set, Source: key.set, Raw: raw}}
	e.lastGood[key] = m
	return m, true
}

// versionOf is equal for equal content.
func versionOf(f flag.Feed) string {
	raw, err := json.Marshal(f)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:12])
}
