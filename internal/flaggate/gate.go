package flaggate

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
)

// TargetingKey is the attribute of a context that says who the user is.
const TargetingKey = "targetingKey"

// InvalidContext is the code for a context that cannot be one. Only requests have it.
const InvalidContext flag.Code = "INVALID_CONTEXT"

// Gate lets requests in. It may be used by several protocols at once, which then share the rates.
type Gate struct {
	Source      Source
	Environment string // of clients without a key
	Keys        Keys   // nil lets everyone ask, for Environment
	Users       Users  // nil where no client's users have to be proved

	Open func() bool // reports whether everyone may ask in spite of Keys, as long as there are none; nil for never

	RequireKey bool              // demand a targeting key of everyone
	Context    map[string]any    // attributes that win over those that are sent
	Headers    map[string]string // headers whose values become attributes of these names, and win over both
	Rate       float64           // requests per second and key, 0 for no limit
	Burst      int               // requests at once and key, twice the Rate when 0
	Log        *slog.Logger      // may be nil

	limits limits
}

// Refusal is why a request is not answered, in the words of HTTP and OpenFeature.
type Refusal struct {
	Status  int
	Code    flag.Code
	Details string
	Wait    time.Duration // until it makes sense to try again
}

func refusal(status int, details string) *Refusal {
	return &Refusal{Status: status, Code: flag.General, Details: details}
}

// Key is the key that a request brings in its headers.
func Key(h http.Header) string {
	if key := h.Get("X-API-Key"); key != "" {
		return key
	}
	token, _ := strings.CutPrefix(h.Get("Authorization"), "Bearer ")
	return strings.TrimSpace(token)
}

// maxKey is how long a key may be.
const maxKey = 4096

// Who tells whose request it is; address is the key that stands in its address.
func (g *Gate) Who(ctx context.Context, h http.Header, address string) (flag.Client, *Refusal) {
	c := flag.Client{Environment: g.Environment}
	if g.Keys == nil || g.Open != nil && g.Open() {
		return c, g.take("")
	}
	key := Key(h)
	inAddress := key == "" && address != ""
	if inAddress {
		key = address
	}
	if key == "" || len(key) > maxKey {
		return c, refusal(http.StatusUnauthorized, "a key is needed, in X-API-Key or as a Bearer token")
	}
	c, err := g.Keys.Check(ctx, key)
	switch {
	case err == nil && inAddress && c.Scope != flag.Browser:
		return c, refusal(http.StatusForbidden, "only a browser's key may stand in an address")
	case err == nil:
		return c, g.take(c.Name)
	}
	switch errs.KindOf(err) {
	case errs.Missing, errs.Invalid:
		return c, refusal(http.StatusUnauthorized, "nobody has this key")
	case errs.Denied:
		return c, refusal(http.StatusForbidden, err.Error())
	}
	g.log().Error("flags: a key could not be checked", "err", err)
	return c, refusal(http.StatusInternalServerError, "the key could not be checked")
}

func (g *Gate) log() *slog.Logger {
	if g.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return g.Log
}

// Panicked records that answering a request failed in a way that it must not.
func (g *Gate) Panicked(v any) {
	g.log().Error("flags: answering panicked", "panic", v, "stack", string(debug.Stack()))
}

// Selector is what a request chooses by its headers.
func Selector(h http.Header) string {
	if s := h.Get("Flagd-Selector"); s != "" {
		return s
	}
	if id := h.Get("X-Flag-Set"); id != "" {
		return "flagSetId=" + id
	}
	return ""
}

// View is what a client chooses among the flags that it may see.
func (g *Gate) View(c flag.Client, selector string) (*flag.View, *Refusal) {
	if c.Selector != "" {
		if selector != "" && selector != c.Selector {
			return nil, refusal(http.StatusForbidden, "the key is not for these flags")
		}
		selector = c.Selector
	}
	snapshot, err := g.Source.Current(c.Environment)
	if err != nil {
		g.log().Error("flags: there is nothing to answer from", "environment", c.Environment, "err", err)
		return nil, refusal(http.StatusInternalServerError, "there are no flags to answer from")
	}
	view, err := snapshot.Select(selector)
	if err != nil {
		return nil, refusal(http.StatusBadRequest, err.Error())
	}
	return view, nil
}

// User completes a context that was sent: with what the server knows of the user, and the proof of who it is. token is
// the one that came with the context.
func (g *Gate) User(ctx context.Context, h http.Header, c flag.Client, to *exposure.Context, token string) *Refusal {
	for name, v := range g.Context {
		set(to, name, v)
	}
	for header, name := range g.Headers {
		if v := h.Get(header); v != "" {
			set(to, name, v)
		}
	}
	if c.SignedUser {
		if bad := g.prove(ctx, h, c, to, token); bad != nil {
			return bad
		}
	}
	if to.TargetingKey == "" && (g.RequireKey || c.SignedUser) {
		return &Refusal{Status: http.StatusBadRequest, Code: flag.TargetingKeyMissing, Details: "the context has no targetingKey"}
	}
	to.Timestamp = time.Now().Unix()
	return nil
}

func set(to *exposure.Context, name string, v any) {
	if text, ok := v.(string); ok && name == TargetingKey {
		to.TargetingKey = text
		return
	}
	to.Attributes[name] = v
}

func (g *Gate) prove(ctx context.Context, h http.Header, c flag.Client, to *exposure.Context, token string) *Refusal {
	if t := h.Get("X-User-Token"); t != "" {
		token = t
	}
	switch {
	case g.Users == nil:
		return refusal(http.StatusForbidden, "users cannot be proved here")
	case token == "":
		return refusal(http.StatusUnauthorized, "the user has to be proved by a token, in X-User-Token or as targetingToken")
	}
	subject, err := g.Users.Subject(ctx, c, token)
	switch {
	case errs.KindOf(err) == errs.Denied && err != nil || err == nil && subject == "":
		return refusal(http.StatusForbidden, "the token does not prove the user")
	case err != nil:
		g.log().Error("flags: a user's token could not be checked", "client", c.Name, "err", err)
		return refusal(http.StatusInternalServerError, "the token could not be checked")
	case to.TargetingKey != "" && to.TargetingKey != subject:
		return refusal(http.StatusForbidden, "the token is another user's")
	}
	to.TargetingKey = subject
	return nil
}
