package gateway

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/ringfence/ringfence/internal/fleet"
)

// stickyCookie carries the targeting key of users for whom the route's sources give none.
const stickyCookie = "ringfence_key"

const (
	maxKey = 512 // bytes of a targeting key that count; the rest of a longer one is ignored
	maxJWT = 16 << 10
)

// identify finds the targeting key and the attributes that the rings read. fresh says that the key is a new one,
// which the client is to be told.
func (x *exchange) identify(rt *route) {
	x.fresh = false
	key := x.plain(rt.key)
	ok := key != ""
	if !ok && rt.key.JWT != "" {
		key, ok = textOf(x.lookup(rt.key))
	}
	if !ok {
		key, ok = cookie(x.r, stickyCookie)
		ok = ok && len(key) == 32
	}
	if !ok {
		key, x.fresh = newKey(), true
	}
	x.user.TargetingKey = key[:min(len(key), maxKey)]
	clear(x.user.Attributes)
	x.user.Timestamp = x.start.Unix()
	x.attributes(rt.attrs)
	x.sides = x.sides[:0]
	if c := rt.counted.Load(); c != nil {
		x.attributes(c.attrs)
		c.place(x)
	}
}

func (x *exchange) attributes(attrs []attribute) {
	if x.user.Attributes == nil && len(attrs) > 0 {
		x.user.Attributes = map[string]any{}
	}
	for _, a := range attrs {
		if v := x.lookup(a.from); v != nil {
			x.user.Attributes[a.name] = v
		}
	}
}

// lookup returns the first value that a source names, nil when the request has none.
func (x *exchange) lookup(s fleet.Source) any {
	if v := x.plain(s); v != "" {
		return v
	}
	if s.JWT != "" {
		return claim(x.r.Header.Get("Authorization"), s.JWT)
	}
	return nil
}

// plain is lookup without the token's claims.
func (x *exchange) plain(s fleet.Source) string {
	if s.Header != "" {
		if v := x.r.Header.Get(s.Header); v != "" {
			return v
		}
	}
	if s.Cookie != "" {
		if v, ok := cookie(x.r, s.Cookie); ok {
			return v
		}
	}
	if s.Query != "" && x.r.URL.RawQuery != "" {
		return x.r.URL.Query().Get(s.Query)
	}
	return ""
}

// textOf takes text and numbers for a key.
func textOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, v != ""
	case float64:
		b, err := json.Marshal(v)
		return string(b), err == nil
	}
	return "", false
}

// cookie is http.Request.Cookie without making a Cookie of each.
func cookie(r *http.Request, name string) (string, bool) {
	for _, line := range r.Header["Cookie"] {
		for len(line) > 0 {
			var part string
			part, line, _ = strings.Cut(line, ";")
			k, v, ok := strings.Cut(strings.TrimSpace(part), "=")
			if ok && k == name {
				v = strings.Trim(v, `"`)
				return v, v != ""
			}
		}
	}
	return "", false
}

// claim reads a claim of a bearer token without verifying it.
func claim(authorization, name string) any {
	const scheme = "bearer "
	if len(authorization) < len(scheme) || len(authorization) > maxJWT || !strings.EqualFold(authorization[:len(scheme)], scheme) {
		return nil
	}
	_, rest, ok := strings.Cut(authorization[len(scheme):], ".")
	payload, _, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(payload, "="))
	if err != nil {
		return nil
	}
	var claims map[string]any
	if json.Unmarshal(b, &claims) != nil {
		return nil
	}
	return claims[name]
}

func newKey() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// tellKey sets the sticky cookie when the key is new.
func (x *exchange) tellKey() {
	if !x.fresh {
		return
	}
	c := stickyCookie + "=" + x.user.TargetingKey + "; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax"
	if x.r.TLS != nil {
		c += "; Secure"
	}
	x.w.Header().Add("Set-Cookie", c)
}
