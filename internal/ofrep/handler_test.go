package ofrep

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/flaggate"
)

func TestSingle(t *testing.T) {
	h := New(Options{Gate: &flaggate.Gate{Source: newFeed(t, shop), Environment: "prod"}})
	meta := `"metadata":{"flagSetId":"shop","version":"7"}`
	for _, c := range []struct {
		name, path, body string
		status           int
		want             string
	}{
		{"static", "static", `{"context":{"targetingKey":"x"}}`, 200, `{"key":"static","value":false,"reason":"STATIC","variant":"off","metadata":{"flagSetId":"shop","risk":2,"team":"web","version":"7"}}`},
		{"disabled", "off", `{"context":{}}`, 200, `{"key":"off","reason":"DISABLED",` + meta + `}`},
		{"code default", "code", `{}`, 200, `{"key":"code","reason":"DEFAULT",` + meta + `}`},
		{"empty body", "code", ``, 200, `{"key":"code","reason":"DEFAULT",` + meta + `}`},
		{"null context", "code", `{"context":null}`, 200, `{"key":"code","reason":"DEFAULT",` + meta + `}`},
		{"rule", "staff", `{"context":{"email":"x@example.com"}}`, 200, `{"key":"staff","value":"b<c>","reason":"TARGETING_MATCH","variant":"new",` + meta + `}`},
		{"rule chose none", "staff", `{"other": [1], "context":{"email":"x@example.org"}}`, 200, `{"key":"staff","value":"a","reason":"DEFAULT","variant":"old",` + meta + `}`},
		{"number", "limit", `{"context":{"plan":"half"}}`, 200, `{"key":"limit","value":0.5,"reason":"TARGETING_MATCH","variant":"half",` + meta + `}`},
		{"object", "object", `{}`, 200, `{"key":"object","value":{"x":[1,"y"]},"reason":"STATIC","variant":"a",` + meta + `}`},
		{"targeting key", "who", `{"context":{"targetingKey":"alice"}}`, 200, `{"key":"who","value":1,"reason":"TARGETING_MATCH","variant":"alice",` + meta + `}`},
		{"escaped key", "a%2Fb%20%C3%BC", `{}`, 200, `{"key":"a/b ü","value":true,"reason":"STATIC","variant":"on",` + meta + `}`},
		{"no variant", "wrong", `{"context":{"choice":"x"}}`, 400, `{"key":"wrong","errorCode":"GENERAL","errorDetails":"the rule gives \"x\", which is no variant",` + meta + `}`},
		{"broken", "broken", `{}`, 400, `{"key":"broken","errorCode":"PARSE_ERROR","errorDetails":"the default variant is none of the variants",` + meta + `}`},
		{"none", "none", `{}`, 404, `{"key":"none","errorCode":"FLAG_NOT_FOUND","errorDetails":"there is no flag \"none\""}`},
		{"no JSON", "static", `{"context":`, 400, `{"key":"static","errorCode":"PARSE_ERROR","errorDetails":"the body is not JSON from byte 11 on"}`},
		{"no object", "static", `[]`, 400, `{"key":"static","errorCode":"PARSE_ERROR","errorDetails":"the body is not JSON from byte 0 on"}`},
		{"more after", "static", `{} {}`, 400, `{"key":"static","errorCode":"PARSE_ERROR","errorDetails":"the body is not JSON from byte 3 on"}`},
		{"context no object", "static", `{"context":[]}`, 400, `{"key":"static","errorCode":"INVALID_CONTEXT","errorDetails":"the context is not an object"}`},
		{"key no text", "static", `{"context":{"targetingKey":5}}`, 400, `{"key":"static","errorCode":"INVALID_CONTEXT","errorDetails":"targetingKey is not text"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := ask(h, "/ofrep/v1/evaluate/flags/"+c.path, c.body)
			if got := w.Body.String(); w.Code != c.status || got != c.want {
				t.Errorf("%d %s\nwant %d %s", w.Code, got, c.status, c.want)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("type %q", got)
			}
		})
	}
}

func TestBulk(t *testing.T) {
	h := New(Options{Gate: &flaggate.Gate{Source: newFeed(t, shop), Environment: "prod"}})
	w := ask(h, "/ofrep/v1/evaluate/flags", `{"context":{"targetingKey":"x"}}`)
	if w.Code != 200 || strings.Count(w.Body.String(), `"key":`) != 10 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	tail := `],"metadata":{"flagSetId":"shop","version":"7"},"eventStreams":[{"type":"sse","endpoint":{"requestUri":"/ofrep/v1/sse?etag=`
	if !strings.Contains(w.Body.String(), tail) || !strings.HasSuffix(w.Body.String(), `"},"inactivityDelaySec":120}]}`) {
		t.Errorf("%s", w.Body)
	}
	if slash := ask(h, "/ofrep/v1/evaluate/flags/", `{"context":{"targetingKey":"x"}}`); slash.Body.String() != w.Body.String() {
		t.Errorf("with a slash: %s", slash.Body)
	}
	if w := ask(h, "/ofrep/v1/evaluate/flags", `{"context":7}`); w.Code != 400 || w.Body.String() != `{"errorCode":"INVALID_CONTEXT","errorDetails":"the context is not an object"}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// The tag is another whenever the answer is, and the same when the answer is.
func TestETag(t *testing.T) {
	f := newFeed(t, shop)
	h := New(Options{Gate: &flaggate.Gate{Source: f, Environment: "prod"}})
	get := func(body string, headers ...string) (int, string, string) {
		w := ask(h, "/ofrep/v1/evaluate/flags", body, headers...)
		return w.Code, w.Header().Get("ETag"), w.Body.String()
	}
	_, first, _ := get(`{"context":{"targetingKey":"x","email":"x@example.org"}}`)
	if len(first) != 34 || first[0] != '"' {
		t.Fatalf("tag %q", first)
	}
	code, tag, body := get(`{"context":{"targetingKey":"x","email":"x@example.org"}}`, "If-None-Match", first)
	if code != 304 || tag != first || body != "" {
		t.Errorf("the same again: %d %s %q", code, tag, body)
	}
	// providers keep the tag when only an attribute changes
	if code, tag, body := get(`{"context":{"targetingKey":"x","email":"x@example.com"}}`, "If-None-Match", first); code != 200 || tag == first || !strings.Contains(body, `"variant":"new"`) {
		t.Errorf("another attribute: %d %s %s", code, tag, body)
	}
	if code, tag, _ := get(`{"context":{"targetingKey":"y","email":"x@example.org"}}`, "If-None-Match", `"other", W/`+first); code != 304 || tag != first {
		t.Errorf("another user with the same answer: %d %s", code, tag)
	}
	_, wrong, _ := get(`{"context":{"choice":"x"}}`)
	if _, other, _ := get(`{"context":{"choice":"y"}}`); other == wrong || wrong == first {
		t.Error("another error, the same tag")
	}
	f.set(t, strings.ReplaceAll(shop, `"risk": 2`, `"risk": 3`))
	if code, tag, _ := get(`{"context":{"targetingKey":"x","email":"x@example.org"}}`, "If-None-Match", first); code != 200 || tag == first {
		t.Errorf("other definitions: %d %s", code, tag)
	}
}

func TestWhoMayAsk(t *testing.T) {
	h := New(Options{Gate: &flaggate.Gate{Source: newFeed(t, shop, `{"flags":{"mine":{"state":"ENABLED","variants":{"on":true},"defaultVariant":"on"}}}`), Keys: clients}})
	const static = "/ofrep/v1/evaluate/flags/static"
	for _, c := range []struct {
		name, path string
		headers    []string
		status     int
		has        string
	}{
		{"key", static, []string{"X-API-Key", "server"}, 200, `"off"`},
		{"bearer", static, []string{"Authorization", "Bearer server"}, 200, `"off"`},
		{"none", static, nil, 401, `"errorCode":"GENERAL"`},
		{"unknown", static, []string{"X-API-Key", "x"}, 401, "nobody has this key"},
		{"revoked", static, []string{"X-API-Key", "revoked"}, 403, "revoked"},
		{"in the address", static + "?key=browser", nil, 401, "a key is needed"},
		{"no such environment", static, []string{"X-API-Key", "lost"}, 500, `{"errorDetails":"there are no flags to answer from"}`},
		{"its own set", static, []string{"X-API-Key", "shop"}, 200, `"off"`},
		{"its own set, said", static, []string{"X-API-Key", "shop", "X-Flag-Set", "shop"}, 200, `"off"`},
		{"not in its set", "/ofrep/v1/evaluate/flags/mine", []string{"X-API-Key", "shop"}, 404, "FLAG_NOT_FOUND"},
		{"another set", static, []string{"X-API-Key", "shop", "Flagd-Selector", "flagSetId="}, 403, "not for these flags"},
		{"chosen", static, []string{"X-API-Key", "server", "Flagd-Selector", "source=1"}, 404, "FLAG_NOT_FOUND"},
		{"bad selector", static, []string{"X-API-Key", "server", "Flagd-Selector", "team=web"}, 400, "expected flagSetId"},
		{"rules are told to servers", "/ofrep/v1/evaluate/flags/wrong", []string{"X-API-Key", "server"}, 400, `the rule gives \"secret\"`},
		{"rules are not told to browsers", "/ofrep/v1/evaluate/flags/wrong", []string{"X-API-Key", "browser"}, 400, "the rule chose no variant"},
		{"nor in bulk", "/ofrep/v1/evaluate/flags", []string{"X-API-Key", "browser"}, 200, `"errorDetails":"the rule chose no variant"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := ask(h, c.path, `{"context":{"choice":"secret"}}`, c.headers...)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.has) {
				t.Errorf("%d %s\nwant %d with %s", w.Code, w.Body, c.status, c.has)
			}
			if (w.Code == 401) != (w.Header().Get("WWW-Authenticate") != "") {
				t.Errorf("WWW-Authenticate %q", w.Header().Get("WWW-Authenticate"))
			}
		})
	}
	if w := ask(h, "/ofrep/v1/evaluate/flags", `{}`, "X-API-Key", "browser"); !strings.Contains(w.Body.String(), "key=browser") {
		t.Error("a browser's stream has no key in its address")
	}
	if w := ask(h, "/ofrep/v1/evaluate/flags", `{}`, "X-API-Key", "server"); strings.Contains(w.Body.String(), "key=") {
		t.Error("a server's key stands in an address")
	}
}

func TestTargetingKeyIsDemanded(t *testing.T) {
	h := New(Options{Gate: &flaggate.Gate{Source: newFeed(t, shop), Environment: "prod", RequireKey: true}})
	w := ask(h, "/ofrep/v1/evaluate/flags/static", `{"context":{"targetingKey":""}}`)
	if want := `{"key":"static","errorCode":"TARGETING_KEY_MISSING","errorDetails":"the context has no targetingKey"}`; w.Code != 400 || w.Body.String() != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(h, "/ofrep/v1/evaluate/flags", ``); w.Code != 400 || !strings.HasPrefix(w.Body.String(), `{"errorCode":"TARGETING_KEY_MISSING"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestLimits(t *testing.T) {
	h := New(Options{Gate: &flaggate.Gate{Source: newFeed(t, shop), Keys: clients, Rate: 0.1, Burst: 2}})
	post := func(key, body string) *httptest.ResponseRecorder {
		return ask(h, "/ofrep/v1/evaluate/flags/static", body, "X-API-Key", key)
	}
	large := `{"context":{"x":"` + strings.Repeat("x", 64<<10) + `"}}`
	if w := post("server", large); w.Code != 413 || !strings.Contains(w.Body.String(), "too large") {
		t.Errorf("a large body: %d %s", w.Code, w.Body)
	}
	r := httptest.NewRequest(http.MethodPost, "/ofrep/v1/evaluate/flags", struct{ *strings.Reader }{strings.NewReader(large)})
	r.Header.Set("X-API-Key", "server")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); r.ContentLength >= 0 || w.Code != 413 {
		t.Errorf("a large body of unknown length: %d %s", w.Code, w.Body)
	}
	if w := post("server", `{}`); w.Code != 429 || w.Header().Get("Retry-After") != "10" || !strings.Contains(w.Body.String(), `"errorCode":"GENERAL"`) {
		t.Errorf("one too many: %d, after %q, %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
	if w := post("browser", `{}`); w.Code != 200 {
		t.Errorf("another key: %d", w.Code)
	}
}

func TestOtherRequests(t *testing.T) {
	h := New(Options{Gate: &flaggate.Gate{Source: newFeed(t, shop), Environment: "prod"}, Origins: []string{"https://shop.example"}})
	for _, c := range []struct {
		method, path, origin string
		status               int
		allowed              string
	}{
		{"GET", "/ofrep/v1/evaluate/flags", "", 405, ""},
		{"POST", "/ofrep/v1/sse", "", 405, ""},
		{"POST", "/ofrep/v1/evaluate/flagsx", "", 404, ""},
		{"POST", "/ofrep/v1/evaluate/flags/%zz", "", 400, ""},
		{"OPTIONS", "/ofrep/v1/evaluate/flags", "https://shop.example", 204, "https://shop.example"},
		{"OPTIONS", "/ofrep/v1/evaluate/flags", "https://evil.example", 405, ""},
		{"POST", "/ofrep/v1/evaluate/flags", "https://shop.example", 200, "https://shop.example"},
		{"POST", "/ofrep/v1/evaluate/flags", "https://evil.example", 200, ""},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		r.URL.Path, r.URL.RawPath = strings.ReplaceAll(c.path, "%", "?"), c.path
		if !strings.Contains(c.path, "%") {
			r.URL.Path, r.URL.RawPath = c.path, ""
		}
		r.Header.Set("Origin", c.origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("Access-Control-Allow-Origin"); w.Code != c.status && c.status != 400 || got != c.allowed {
			t.Errorf("%s %s from %q: %d, allowed %q", c.method, c.path, c.origin, w.Code, got)
		}
	}
}

// What the server knows of a user wins over what the client says, a header over both.
func TestContextOfTheServer(t *testing.T) {
	var seen []string
	h := New(Options{Gate: &flaggate.Gate{Source: newFeed(t, shop), Environment: "prod", Context: map[string]any{"email": "x@example.com"}, Headers: map[string]string{"X-Mail": "email", "X-User": "targetingKey"}}, Asked: func(env, key string) { seen = append(seen, env+" "+key) }})
	variant := func(path, body string, headers ...string) string {
		_, after, _ := strings.Cut(ask(h, "/ofrep/v1/evaluate/flags/"+path, body, headers...).Body.String(), `"variant":"`)
		name, _, _ := strings.Cut(after, `"`)
		return name
	}
	for _, c := range []struct{ got, want string }{
		{variant("staff", `{"context":{"email":"y@example.org"}}`), "new"},
		{variant("staff", `{"context":{"email":"y@example.org"}}`, "X-Mail", "z@example.org"), "old"},
		{variant("who", `{"context":{"targetingKey":"bob"}}`, "X-User", "alice"), "alice"},
		{variant("who", `{"context":{"targetingKey":"bob"}}`), "other"},
	} {
		if c.got != c.want {
			t.Errorf("variant %q, want %q", c.got, c.want)
		}
	}
	if diff := cmp.Diff(seen, []string{"prod staff", "prod staff", "prod who", "prod who"}); diff != "" {
		t.Error(diff)
	}
}

var _ flaggate.Keys = clients

type nobody struct{}

func (nobody) Subject(context.Context, flag.Client, string) (string, error) { return "", nil }
