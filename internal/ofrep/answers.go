package ofrep

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ringfence/ringfence/internal/flag"
)

// answers are a view's flags with what each of them may answer, encoded when it is first needed.
type answers struct {
	view    *flag.View
	flags   []*entry // by their keys, sorted
	byKey   map[string]*entry
	tail    []byte // of a bulk answer after its flags, up to the event streams
	changed int64  // when this view was first seen, in seconds since 1970
}

type entry struct {
	flag    *flag.Flag
	encoded atomic.Pointer[[]answer]
}

// answer is one of those that a flag has for everyone.
type answer struct {
	variant string
	reason  flag.Reason
	json    []byte
}

// none is the index of an answer that had to be made for the occasion.
const none = 0xffff

func newAnswers(view *flag.View, now int64) *answers {
	keys := view.Keys()
	a := &answers{view: view, byKey: make(map[string]*entry, len(keys)), flags: make([]*entry, len(keys)), changed: now}
	for i, key := range keys {
		e := &entry{flag: view.Flag(key)}
		a.flags[i], a.byKey[key] = e, e
	}
	a.tail = []byte("]")
	if metadata := scalars(view.Metadata); len(metadata) > 0 {
		a.tail = append(append(a.tail, `,"metadata":`...), marshal(metadata)...)
	}
	return a
}

// find returns the encoded answer for a result, and which of the flag's it is.
func (e *entry) find(r flag.Result, browser bool) (index uint16, encoded []byte) {
	if r.Code != "" {
		return none, failure(e.flag.Key, r, browser)
	}
	all := e.encoded.Load()
	if all == nil {
		made := encodeAll(e.flag)
		all = &made
		e.encoded.Store(all)
	}
	for i := range *all {
		if a := &(*all)[i]; a.variant == r.Variant && a.reason == r.Reason {
			return uint16(i), a.json
		}
	}
	return none, success(e.flag.Key, r)
}

// fixed is how many variants are encoded beforehand; a flag with more is encoded when it is asked for.
const fixed = 64

func encodeAll(f *flag.Flag) []answer {
	var all []answer
	add := func(r flag.Result) {
		r.Metadata = f.Metadata
		all = append(all, answer{r.Variant, r.Reason, success(f.Key, r)})
	}
	if f.Default != "" {
		value, _ := f.Value(f.Default)
		reason := flag.Static
		if f.Targeted() {
			reason = flag.Default
		}
		add(flag.Result{Variant: f.Default, Value: value, Reason: reason})
	}
	if f.Targeted() {
		variants := f.Variants()
		for _, name := range variants[:min(len(variants), fixed)] {
			value, _ := f.Value(name)
			add(flag.Result{Variant: name, Value: value, Reason: flag.TargetingMatch})
		}
	}
	add(flag.Result{Reason: flag.Default})
	add(flag.Result{Reason: flag.Disabled})
	return all
}

func success(key string, r flag.Result) []byte {
	s := struct {
		Key      string         `json:"key"`
		Value    *any           `json:"value,omitempty"`
		Reason   flag.Reason    `json:"reason"`
		Variant  string         `json:"variant,omitempty"`
		Metadata map[string]any `json:"metadata,omitempty"`
	}{Key: key, Reason: r.Reason, Variant: r.Variant, Metadata: scalars(r.Metadata)}
	if r.HasValue() {
		s.Value = &r.Value
	}
	return marshal(s)
}

// failed is an error of one flag.
type failed struct {
	Key      string         `json:"key"`
	Code     flag.Code      `json:"errorCode"`
	Details  string         `json:"errorDetails,omitempty"`
	Metadata map[string]any `json:"metadata,omitempty"`
}

// plain says for browsers what happened, without what stands in the definition.
var plain = map[flag.Code]string{flag.ParseError: "the flag cannot be evaluated", flag.General: "the rule chose no variant"}

func failure(key string, r flag.Result, browser bool) []byte {
	f := failed{Key: key, Code: r.Code, Details: r.Details, Metadata: scalars(r.Metadata)}
	if details, ok := plain[r.Code]; ok && browser {
		f.Details = details
	}
	if f.Code == flag.TypeMismatch { // the protocol knows no types: a variant without a value is the definition's mistake
		f.Code = flag.General
	}
	return marshal(f)
}

// scalars is metadata without what the protocol has no place for.
func scalars(metadata map[string]any) map[string]any {
	rest := make(map[string]any, len(metadata))
	for name, v := range metadata {
		switch v.(type) {
		case string, bool, float64:
			rest[name] = v
		}
	}
	return rest
}

// marshal encodes what was read from JSON, and so can be.
func marshal(v any) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return []byte("null")
	}
	return slices.Clip(bytes.TrimSuffix(out.Bytes(), []byte("\n")))
}

// cache has the answers of the views that are being served.
type cache struct {
	views atomic.Pointer[map[*flag.View]*answers]
	mu    sync.Mutex
	seen  map[string]int64 // when the hash of a view was first seen
}

// views are forgotten when there are more: they are cheap to make again.
const (
	maxViews = 64
	maxSeen  = 10_000
)

func (c *cache) of(view *flag.View, now func() int64) *answers {
	if views := c.views.Load(); views != nil {
		if a := (*views)[view]; a != nil {
			return a
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.views.Load()
	if old != nil && (*old)[view] != nil {
		return (*old)[view]
	}
	if c.seen == nil || len(c.seen) > maxSeen {
		c.seen = map[string]int64{}
	}
	if _, ok := c.seen[view.Hash]; !ok {
		c.seen[view.Hash] = now()
	}
	views := map[*flag.View]*answers{}
	if old != nil && len(*old) < maxViews {
		for v, a := range *old {
			views[v] = a
		}
	}
	a := newAnswers(view, c.seen[view.Hash])
	views[view] = a
	c.views.Store(&views)
	return a
}
