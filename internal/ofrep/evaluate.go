package ofrep

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/flaggate"
)

// single answers for one flag.
func (h *Handler) single(w http.ResponseWriter, r *http.Request) {
	key, ok := flagKey(r.URL)
	if !ok {
		refuse(w, "", &flaggate.Refusal{Status: http.StatusBadRequest, Code: flag.General, Details: "the flag's key cannot be read"})
		return
	}
	a := pool.Get().(*asked)
	defer a.release()
	status, body, bad := h.one(r.Context(), r.Header, key, a, func() *refused { return a.read(r, h.o.MaxBody) })
	if bad != nil {
		refuse(w, key, bad)
		return
	}
	write(w, status, body)
}

// refused is why a request is not answered.
type refused = flaggate.Refusal

// one answers for one flag; read reads the body, once it is known that somebody may ask.
func (h *Handler) one(ctx context.Context, header http.Header, key string, a *asked, read func() *refused) (status int, body []byte, bad *refused) {
	c, bad := h.gate.Who(ctx, header, "")
	if bad == nil {
		bad = read()
	}
	if bad == nil {
		bad = h.gate.User(ctx, header, c, &a.ctx, a.token)
	}
	if bad != nil {
		return 0, nil, bad
	}
	view, bad := h.gate.View(c, flaggate.Selector(header))
	if bad != nil {
		return 0, nil, bad
	}
	if h.o.Asked != nil {
		h.o.Asked(c.Environment, key)
	}
	status, body = h.cache.of(view, h.now).one(key, a, c.Scope == flag.Browser)
	return status, body, nil
}

// one evaluates a flag and returns the encoded answer.
func (a *answers) one(key string, q *asked, browser bool) (status int, body []byte) {
	e := a.byKey[key]
	if e == nil {
		return http.StatusNotFound, failure(key, a.view.Evaluate(key, &q.ctx), browser)
	}
	result := e.flag.Evaluate(&q.ctx)
	if _, body = e.find(result, browser); result.Code != "" {
		return http.StatusBadRequest, body
	}
	return http.StatusOK, body
}

// understand reads a request up to what is to be evaluated, and for whom.
func (h *Handler) understand(r *http.Request, a *asked) (*flag.View, flag.Client, *flaggate.Refusal) {
	c, bad := h.who(r)
	if bad != nil {
		return nil, c, bad
	}
	if bad = a.read(r, h.o.MaxBody); bad != nil {
		return nil, c, bad
	}
	if bad = h.gate.User(r.Context(), r.Header, c, &a.ctx, a.token); bad != nil {
		return nil, c, bad
	}
	view, bad := h.view(r, c)
	return view, c, bad
}

// bulk answers for all flags.
func (h *Handler) bulk(w http.ResponseWriter, r *http.Request) {
	a := pool.Get().(*asked)
	defer a.release()
	view, c, bad := h.understand(r, a)
	if bad == nil && r.URL.RawQuery != "" {
		view, bad = h.fresh(r, c, view)
	}
	if bad != nil {
		refuse(w, "", bad)
		return
	}
	all := h.cache.of(view, h.now)
	tag := all.evaluate(a, c.Scope == flag.Browser)
	head := w.Header()
	head.Set("ETag", tag)
	head.Set("Cache-Control", "no-cache, private")
	if matches(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	a.out = append(append(a.out, all.tail...), `,"eventStreams":[{"type":"sse","endpoint":{"requestUri":`...)
	a.out = append(append(a.out, marshal(h.streamAddress(r, c, view))...), `},"inactivityDelaySec":`...)
	a.out = append(strconv.AppendInt(a.out, int64(h.o.Inactivity/time.Second), 10), `}]}`...)
	write(w, http.StatusOK, a.out)
}

// evaluate puts the answers of all flags into q.out and returns the ETag of what will be there.
func (a *answers) evaluate(q *asked, browser bool) string {
	sum := sha256.New()
	sum.Write([]byte(a.view.Hash)) // a hash takes everything
	chosen := make([]byte, 0, 2*len(a.flags))
	q.out = append(q.out[:0], `{"flags":[`...)
	for i, e := range a.flags {
		if i > 0 {
			q.out = append(q.out, ',')
		}
		index, encoded := e.find(e.flag.Evaluate(&q.ctx), browser)
		if chosen = append(chosen, byte(index>>8), byte(index)); index == none {
			chosen = append(chosen, encoded...)
		}
		q.out = append(q.out, encoded...)
	}
	sum.Write(chosen)
	tag := make([]byte, 0, 34)
	tag = append(tag, '"')
	tag = hex.AppendEncode(tag, sum.Sum(nil)[:16])
	return string(append(tag, '"'))
}

// matches reports whether a tag is among those of an If-None-Match.
func matches(header, tag string) bool {
	for header != "" {
		var one string
		one, header, _ = strings.Cut(header, ",")
		one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
		if one == "*" || one == tag || `"`+one+`"` == tag {
			return true
		}
	}
	return false
}

// patience is how long an answer waits for a change that another server has told of already.
const patience = 250 * time.Millisecond

// fresh waits a moment when the client was told of flags that are not here yet.
func (h *Handler) fresh(r *http.Request, c flag.Client, view *flag.View) (*flag.View, *flaggate.Refusal) {
	query := r.URL.Query()
	told := query.Get("flagConfigEtag")
	if told == "" || told == view.Hash || h.cache.of(view, h.now).changed > when(query.Get("flagConfigLastModified")) {
		return view, nil
	}
	changes, cancel := h.gate.Source.Watch(c.Environment)
	defer cancel()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		now, bad := h.view(r, c)
		if bad != nil || now != view {
			return now, bad
		}
		select {
		case <-changes:
		case <-late.C:
			return view, nil
		case <-r.Context().Done():
			return view, nil
		}
	}
}

// when reads seconds since 1970 or a date; what is neither is long ago.
func when(text string) int64 {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.Unix()
	}
	return 0
}

// streamAddress is where the client is told of changes to what it just got.
func (h *Handler) streamAddress(r *http.Request, c flag.Client, view *flag.View) string {
	query := url.Values{"etag": {view.Hash}}
	if selector := flaggate.Selector(r.Header); selector != "" {
		query.Set("selector", selector)
	}
	if h.gate.Keys != nil && c.Scope == flag.Browser {
		query.Set("key", flaggate.Key(r.Header))
	}
	return streamPath + "?" + query.Encode()
}
