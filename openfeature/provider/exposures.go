package provider

import (
	"context"
	"encoding/json"
	"hash/maphash"
	"reflect"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/open-feature/go-sdk/openfeature"
)

// event is one as POST /v1/track takes it.
type event struct {
	Type    string         `json:"type"`
	ID      string         `json:"id,omitempty"`
	Time    time.Time      `json:"time"`
	Key     string         `json:"targetingKey"`
	Flag    string         `json:"flag,omitempty"`
	Set     string         `json:"set,omitempty"`
	Variant string         `json:"variant,omitempty"`
	Metric  string         `json:"metric,omitempty"`
	Value   *float64       `json:"value,omitempty"`
	Context map[string]any `json:"context,omitempty"`
}

// Limits of the server, in bytes.
const (
	maxKey       = 512
	maxName      = 256
	maxAttribute = 256
)

// exposures is the hook that reports who got what.
type exposures struct {
	openfeature.UnimplementedHook
	queue      *queue
	attributes []string
	recent     recent
}

// ExposureHook reports the exposures of the evaluations that it is given to, where NoExposures leaves them to the caller:
//
//	client.BooleanValue(ctx, "new-checkout", false, user, openfeature.WithHooks(hook))
func (p *Provider) ExposureHook() openfeature.Hook {
	return &exposures{queue: p.queue, attributes: p.o.Attributes}
}

// After reports an exposure.
func (h *exposures) After(_ context.Context, asked openfeature.HookContext, got openfeature.InterfaceEvaluationDetails, _ openfeature.HookHints) error {
	about := asked.EvaluationContext()
	key := about.TargetingKey()
	if got.Variant == "" || got.Reason == openfeature.StaticReason || !fits(key, maxKey) || !fits(got.FlagKey, maxName) || !fits(got.Variant, maxName) {
		return nil
	}
	now := time.Now()
	if !h.recent.first(now, key, got.FlagKey, got.Variant) {
		return nil
	}
	e := event{Type: "exposure", Time: now, Key: key, Flag: got.FlagKey, Variant: got.Variant}
	if set, _ := got.FlagMetadata["flagSetId"].(string); fits(set, maxName) {
		e.Set = set
	}
	for _, name := range h.attributes {
		e.note(name, about.Attribute(name))
	}
	h.queue.put(e)
	return nil
}

// Track reports a metric event of a user: that something was done, and the value of details for how much; without details it counts 1. An attribute id
// of the details names the event, so that it is counted once however often it is reported; the others
// go along when they are text, numbers or booleans.
func (p *Provider) Track(_ context.Context, name string, about openfeature.EvaluationContext, with openfeature.TrackingEventDetails) {
	e := event{Type: "metric", Time: time.Now(), Key: about.TargetingKey(), Metric: name}
	if !fits(e.Key, maxKey) || !fits(name, maxName) {
		p.queue.drop("a metric event needs a targeting key and a name of the size that the server takes", 1)
		return
	}
	if !reflect.ValueOf(with).IsZero() {
		value := with.Value()
		if value-value != 0 {
			p.queue.drop("the value of a metric event is no number", 1)
			return
		}
		e.Value = &value
	}
	for attribute, v := range with.Attributes() {
		if id, ok := v.(string); ok && attribute == "id" {
			e.ID = name + "/" + id
			continue
		}
		e.note(attribute, v)
	}
	if len(e.ID) > maxName {
		e.ID = "" // counted twice if it must be
	}
	p.queue.put(e)
}

// note adds an attribute that the server takes.
func (e *event) note(name string, v any) {
	if len(e.Context) == maxAttributes || !fits(name, maxAttribute) {
		return
	}
	v = made(v)
	switch v.(type) {
	case nil, []any, []string, map[string]any:
		return
	}
	if raw, err := json.Marshal(v); err != nil || len(raw) > maxAttribute {
		return
	}
	if e.Context == nil {
		e.Context = map[string]any{}
	}
	e.Context[name] = v
}

// fits reports whether the server takes a text.
func fits(text string, limit int) bool {
	if text == "" || len(text) > limit || !utf8.ValidString(text) {
		return false
	}
	for i := range len(text) {
		if text[i] == 0 {
			return false
		}
	}
	return true
}

const (
	recentFor = time.Minute
	maxRecent = 100_000
)

var seed = maphash.MakeSeed()

// recent knows which exposures were reported in the last minute.
type recent struct {
	mu    sync.Mutex
	since time.Time
	seen  map[uint64]struct{}
}

func (r *recent) first(now time.Time, parts ...string) bool {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, part := range parts {
		_, _ = h.WriteString(part)
		_ = h.WriteByte(0)
	}
	sum := h.Sum64()
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.since) >= recentFor || len(r.seen) >= maxRecent {
		r.since, r.seen = now, map[uint64]struct{}{}
	}
	if _, ok := r.seen[sum]; ok {
		return false
	}
	r.seen[sum] = struct{}{}
	return true
}
