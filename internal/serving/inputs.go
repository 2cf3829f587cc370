package serving

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// inputs are all that is served by, as it was read at one time.
type inputs struct {
	read        bool
	head        int64 // revision of what is declared
	sets        map[string]*flag.Document
	revisions   map[string]int64
	exposures   map[string]fleet.Service // by subject
	choices     map[string]flag.Choices  // by subject
	assignments map[string]flag.Assignment
	keys        []flag.Key
	keyring     *flag.Keyring
	moving      string           // tells apart what is served besides the sets
	known       map[string]int64 // revisions of the exposures and choices that were read
}

// Refresh makes what is served be as the store has it now. When it returns without an error, it is.
func (e *Engine) Refresh(ctx context.Context) error {
	e.look.Lock()
	defer e.look.Unlock()
	in, err := e.gather(ctx)
	if err != nil {
		return err
	}
	e.mu.Lock()
	same := e.seen.read && in.head == e.seen.head && in.moving == e.seen.moving
	e.seen = in
	envs := slices.Collect(maps.Keys(e.envs))
	e.mu.Unlock()
	if same {
		return nil
	}
	for _, env := range envs {
		e.serve(env, in)
	}
	if e.Changed != nil {
		e.Changed()
	}
	return nil
}

// known gathers when that was never done. e.look is held.
func (e *Engine) known(ctx context.Context) error {
	e.mu.Lock()
	read := e.seen.read
	e.mu.Unlock()
	if read {
		return nil
	}
	in, err := e.gather(ctx)
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.seen = in
	e.mu.Unlock()
	return nil
}

// gather reads what moves, and the sets when anything declared has changed. The head comes first: what is read after it is
// not older.
func (e *Engine) gather(ctx context.Context) (inputs, error) {
	in := inputs{read: true, exposures: map[string]fleet.Service{}, choices: map[string]flag.Choices{}, known: map[string]int64{}}
	head, err := e.Store.Get(ctx, e.HeadKind, e.HeadName)
	if err != nil && !errs.Is(err, errs.Missing) {
		return in, err
	}
	in.head = head.Rev
	e.mu.Lock()
	before := e.seen
	e.mu.Unlock()
	if in.sets, in.revisions = before.sets, before.revisions; !before.read || before.head != in.head {
		if in.sets, in.revisions, err = e.declared(ctx); err != nil {
			return in, err
		}
	}
	var moving strings.Builder
	note := func(d store.Doc) { moving.WriteString(d.Name + "=" + strconv.FormatInt(d.Rev, 10) + " ") }
	was := func(d store.Doc) bool { // it is as it was read before
		note(d)
		in.known[d.Kind+"/"+d.Name] = d.Rev
		return before.known[d.Kind+"/"+d.Name] == d.Rev
	}
	err = e.each(ctx, e.Desired, flag.Unit+"/", func(d store.Doc) error {
		if name := strings.TrimPrefix(d.Name, flag.Unit+"/"); was(d) {
			if s, ok := before.exposures[name]; ok {
				in.exposures[name] = s
			}
			return nil
		}
		var s fleet.Service
		err := json.Unmarshal(d.Body, &s)
		if err == nil && !s.Gone {
			in.exposures[s.Name] = s
		}
		return err
	})
	if err != nil {
		return in, err
	}
	err = e.each(ctx, KindChoices, "", func(d store.Doc) error {
		if was(d) {
			in.choices[d.Name] = before.choices[d.Name]
			return nil
		}
		var c flag.Choices
		err := json.Unmarshal(d.Body, &c)
		in.choices[d.Name] = c
		return err
	})
	if err != nil {
		return in, err
	}
	err = e.each(ctx, flag.KindKey, "", func(d store.Doc) error {
		note(d)
		var k flag.Key
		err := json.Unmarshal(d.Body, &k)
		in.keys = append(in.keys, k)
		return err
	})
	if err != nil {
		return in, err
	}
	in.keyring = flag.NewKeyring(in.keys)
	if e.Experiments != nil {
		var version string
		if in.assignments, version, err = e.Experiments.Assignments(ctx); err != nil {
			return in, err
		}
		moving.WriteString(version)
	}
	in.moving = moving.String()
	return in, nil
}

// declared reads the sets. One that cannot be read is as it was.
func (e *Engine) declared(ctx context.Context) (map[string]*flag.Document, map[string]int64, error) {
	sets, revisions := map[string]*flag.Document{}, map[string]int64{}
	err := e.each(ctx, resource.KindFlagSet, "", func(d store.Doc) error {
		e.mu.Lock()
		old, rev := e.seen.sets[d.Name], e.seen.revisions[d.Name]
		e.mu.Unlock()
		if old != nil && rev == d.Rev {
			sets[d.Name], revisions[d.Name] = old, rev
			return nil
		}
		var r resource.Resource
		if err := json.Unmarshal(d.Body, &r); err != nil {
			return err
		}
		doc, problems := flag.Of(r)
		if len(problems) > 0 { // a later version refuses what an earlier one took
			e.Logger.Error("a flag set has problems; what can be served of it is", "set", d.Name, "err", problems[0].Text())
		}
		if doc == nil {
			doc = old
		}
		if doc != nil {
			sets[d.Name], revisions[d.Name] = doc, d.Rev
		}
		return nil
	})
	return sets, revisions, err
}

func (e *Engine) each(ctx context.Context, kind, prefix string, do func(store.Doc) error) error {
	for after := ""; ; {
		docs, err := e.Store.List(ctx, store.Page{Kind: kind, Prefix: prefix, After: after})
		if err != nil || len(docs) == 0 {
			return err
		}
		for _, d := range docs {
			if err := do(d); err != nil {
				return errs.Wrap(errs.Internal, err, "%s %s", kind, d.Name)
			}
		}
		after = docs[len(docs)-1].Name
	}
}

// live is what moves of a set in an environment, by the keys of its flags.
func (in inputs) live(set, env string) flag.Live {
	l := flag.Live{Exposures: map[string]flag.Exposure{}, Choices: map[string]flag.Choices{}, Experiments: map[string]flag.Assignment{}}
	for _, key := range in.sets[set].Keys() {
		subject := flag.Subject{Set: set, Key: key, Environment: env}.String()
		if s, ok := in.exposures[subject]; ok && len(s.Rings) > 0 {
			l.Exposures[key] = flag.ExposureOf(s, in.sets[set].Flags[key].Baseline(env))
		}
		if c, ok := in.choices[subject]; ok {
			l.Choices[key] = c
		}
		if a, ok := in.assignments[subject]; ok {
			l.Experiments[key] = a
		}
	}
	return l
}

// names are the sets, sorted.
func (in inputs) names() []string { return slices.Sorted(maps.Keys(in.sets)) }
