package switchboard

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
)

// Edit is a change of a declared set.
type Edit struct {
	Set    string
	Patch  map[string]any  // a JSON merge patch of the set's spec: null takes a field away
	Spec   json.RawMessage // the whole spec as it shall be, in place of a patch
	Reason string

	unreviewed bool
}

// Edited is what came of an edit: it is in force, or it waits for review.
type Edited struct {
	Set     string            `json:"set"`
	Changes []resource.Change `json:"changes" doc:"the fields that differ"`
	Applied bool              `json:"applied"`
	Request *Request          `json:"request,omitempty" doc:"what waits for review, when it does"`
}

// maxPatch bounds an edit.
const maxPatch = 1 << 20

// Edit applies a change, or asks for its review. What others change in the set meanwhile stays.
func (b *Board) Edit(ctx context.Context, actor string, e Edit, now time.Time) (out Edited, err error) {
	for range 20 {
		out, err = b.edit(ctx, actor, e, now)
		if !errs.Is(err, errs.Conflict) || errs.HintOf(err) != "" {
			return out, err
		}
	}
	return out, err
}

func (b *Board) edit(ctx context.Context, actor string, e Edit, now time.Time) (Edited, error) {
	out := Edited{Set: e.Set}
	before, old, err := b.set(ctx, e.Set)
	if err != nil {
		return out, err
	}
	after, err := e.on(before)
	if err != nil {
		return out, err
	}
	out.Changes = resource.Changes(&before, &after)
	if len(out.Changes) == 0 {
		out.Applied = true
		return out, nil
	}
	doc, problems := flag.Of(after)
	if err := resource.Refuse(problems); err != nil {
		return out, err
	}
	if envs := flag.Reviewed(old, doc); len(envs) > 0 && !e.unreviewed {
		out.Request, err = b.request(ctx, actor, e, envs, out.Changes, now)
		return out, err
	}
	out.Applied = true
	return out, b.Catalog.Replace(ctx, actor, now, before, after)
}

// EditFlag is Edit of one flag; with it a new one can be made.
func (b *Board) EditFlag(ctx context.Context, actor, set, key string, patch map[string]any, reason string, now time.Time) (Edited, error) {
	return b.Edit(ctx, actor, Edit{Set: set, Patch: map[string]any{"flags": map[string]any{key: patch}}, Reason: reason}, now)
}

// on is a set with the edit in it.
func (e Edit) on(r resource.Resource) (resource.Resource, error) {
	if e.Spec == nil {
		return patched(r, e.Patch)
	}
	tree, err := treeOf(e.Spec)
	if err != nil {
		return r, errs.Wrap(errs.Invalid, err, "the set")
	}
	r.Spec, err = json.Marshal(tree)
	return r, err
}

// patched is a set with a merge patch in it.
func patched(r resource.Resource, patch map[string]any) (resource.Resource, error) {
	if raw, err := json.Marshal(patch); err != nil || len(raw) > maxPatch {
		return r, errs.E(errs.Invalid, "the edit: expected at most 1 MiB of JSON")
	}
	tree, err := treeOf(r.Spec)
	if err != nil {
		return r, err
	}
	raw, err := json.Marshal(merge(tree, patch))
	r.Spec = raw
	return r, err
}

func treeOf(raw json.RawMessage) (any, error) {
	var tree any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	err := dec.Decode(&tree)
	return tree, err
}

// merge is RFC 7396, section 2.
func merge(target any, patch map[string]any) map[string]any {
	was, _ := target.(map[string]any)
	out := make(map[string]any, len(was)+len(patch))
	for k, v := range was {
		out[k] = v
	}
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(out, k)
		case map[string]any:
			out[k] = merge(out[k], v)
		default:
			out[k] = v
		}
	}
	return out
}
