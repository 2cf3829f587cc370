package switchboard

import (
	"context"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// Undo takes back the last change of a flag's definition, or the one with the sequence number at. Where reviewers are asked, taking back
// is an edit like others.
func (b *Board) Undo(ctx context.Context, actor, set, key string, at int64, reason string, now time.Time) (Edited, error) {
	r, _, err := b.set(ctx, set)
	if err != nil {
		return Edited{}, err
	}
	changes, seq, err := b.changed(ctx, r, key, at)
	if err != nil {
		return Edited{}, err
	}
	was, err := treeOf(r.Spec)
	if err != nil {
		return Edited{}, err
	}
	before, err := treeOf(r.Spec) // a second one, to change
	if err != nil {
		return Edited{}, err
	}
	prefix := resource.Field("spec.flags", key)
	for _, c := range changes {
		if !under(c.Path, prefix) {
			continue
		}
		if before, err = put(before, strings.TrimPrefix(c.Path, "spec"), c.Old); err != nil {
			return Edited{}, errs.Wrap(errs.Conflict, err, "change %d cannot be taken back by itself: what is around it has changed", seq)
		}
	}
	patch, _ := difference(was, before).(map[string]any)
	return b.Edit(ctx, actor, Edit{Set: set, Patch: patch, Reason: reason}, now)
}

// changed are the changes of a set's last event, or of the one at a position, that touched a flag.
func (b *Board) changed(ctx context.Context, r resource.Resource, key string, at int64) ([]resource.Change, int64, error) {
	q := store.EventQuery{Subject: r.Key(), Type: "resource.applied", Limit: 200, Backward: true}
	if at > 0 {
		q.After, q.Before, q.Limit = at-1, at+1, 1
	}
	events, err := b.Store.Events(ctx, q)
	if err != nil {
		return nil, 0, err
	}
	prefix := resource.Field("spec.flags", key)
	for _, e := range events {
		var data struct {
			Changes []resource.Change `json:"changes"`
			More    int               `json:"more"`
		}
		if err := json.Unmarshal(e.Data, &data); err != nil {
			return nil, 0, errs.Wrap(errs.Internal, err, "event %d is damaged", e.Seq)
		}
		for _, c := range data.Changes {
			if under(c.Path, prefix) && data.More == 0 {
				return data.Changes, e.Seq, nil
			}
		}
	}
	return nil, 0, errs.E(errs.Missing, "there is no change of flag %s/%s to take back", r.Metadata.Name, key)
}

func under(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// put sets what a path below a tree leads to, as Changes writes it; no value takes it away.
func put(tree any, path string, value json.RawMessage) (any, error) {
	if path == "" {
		if value == nil {
			return nil, nil
		}
		return treeOf(value)
	}
	name, rest, err := step(path)
	if err != nil {
		return nil, err
	}
	switch at := tree.(type) {
	case map[string]any:
		below, err := put(at[name], rest, value)
		if err != nil {
			return nil, err
		}
		if at[name] = below; below == nil && value == nil {
			delete(at, name)
		}
		return at, nil
	case []any:
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= len(at) {
			return nil, errs.E(errs.Conflict, "there is no element %s", name)
		}
		at[i], err = put(at[i], rest, value)
		return at, err
	case nil:
		below, err := put(nil, rest, value)
		return map[string]any{name: below}, err
	}
	return nil, errs.E(errs.Conflict, "%s is no field of it any more", name)
}

// step splits a path after its first element: .name, ["name"] or [3].
func step(path string) (name, rest string, err error) {
	if after, ok := strings.CutPrefix(path, "."); ok {
		end := strings.IndexAny(after, ".[")
		if end < 0 {
			return after, "", nil
		}
		return after[:end], after[end:], nil
	}
	if quoted, ok := strings.CutPrefix(path, "["); ok {
		if text, err := strconv.QuotedPrefix(quoted); err == nil {
			name, err = strconv.Unquote(text)
			return name, strings.TrimPrefix(quoted[len(text):], "]"), err
		}
		number, after, found := strings.Cut(quoted, "]")
		if found {
			return number, after, nil
		}
	}
	return "", "", errs.E(errs.Invalid, "path %.80q", path)
}

// difference is the merge patch that makes one tree another; nil when they are equal.
func difference(from, to any) any {
	a, aok := from.(map[string]any)
	b, bok := to.(map[string]any)
	if !aok || !bok {
		if reflect.DeepEqual(from, to) {
			return nil
		}
		return to
	}
	patch := map[string]any{}
	for k := range a {
		if _, still := b[k]; !still {
			patch[k] = nil
		}
	}
	for k, v := range b {
		if was, ok := a[k]; !ok {
			patch[k] = v
		} else if d := difference(was, v); d != nil {
			patch[k] = d
		}
	}
	if len(patch) == 0 {
		return nil
	}
	return patch
}

// Propose is Edit for a whole set, as it shall be.
func (b *Board) Propose(ctx context.Context, actor string, after resource.Resource, reason string, now time.Time) (Edited, error) {
	before, err := b.Catalog.Get(ctx, resource.KindFlagSet, after.Metadata.Name)
	if err != nil {
		return Edited{}, err
	}
	was, err := treeOf(before.Spec)
	if err != nil {
		return Edited{}, err
	}
	is, err := treeOf(after.Spec)
	if err != nil {
		return Edited{}, errs.Wrap(errs.Invalid, err, "the set")
	}
	patch, _ := difference(was, is).(map[string]any)
	e := Edit{Set: after.Metadata.Name, Patch: patch, Reason: reason}
	if got, err := patched(before, patch); err != nil || len(resource.Changes(&got, &after)) > 0 {
		e.Patch, e.Spec = nil, after.Spec // a patch has no word for null
	}
	return b.Edit(ctx, actor, e, now)
}
