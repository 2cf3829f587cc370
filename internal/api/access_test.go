package api_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/api"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/test/plane"
)

func release(t *testing.T, p *plane.Plane, version string) wire.Release {
	return wire.Release{Version: version, Digest: artifact(t, p.Admin, "content of "+version)}
}

// request makes a request with the token of a role, without one when role is "".
func request(t *testing.T, p *plane.Plane, role policy.Role, method, path, body string, header http.Header) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		req.Header[k] = v
	}
	if role != "" {
		req.Header.Set("Authorization", "Bearer "+p.Tokens[role])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil && res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(err)
	}
	return res, string(raw)
}

// Every route refuses who is not signed in, and whose role may not: 401 and 403, before anything else is looked at.
func TestWhoMayDoWhat(t *testing.T) {
	p := plane.Start(t)
	endless := map[string]bool{"GET /v1/events/stream": true, "GET /v1/backup": true}
	for pattern, action := range api.Routes(p.Server) {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok {
			method, path = http.MethodGet, pattern
		}
		path = strings.NewReplacer("{kind}", "service", "{digest}", "sha256:"+strings.Repeat("0", 64), "{version}", "none", "{token}", "none").Replace(path)
		for _, name := range []string{"service", "name", "unit", "rollout"} {
			path = strings.ReplaceAll(path, "{"+name+"}", "none")
		}
		for _, role := range []policy.Role{"", policy.Viewer, policy.DataPlane, policy.Operator, policy.Admin} {
			who := policy.Principal{Name: "x", Role: role}
			if role == "" {
				who = policy.Principal{}
			}
			allowed := policy.Allow(who, action) == nil
			if allowed && endless[pattern] {
				continue
			}
			res, body := request(t, p, role, method, path, "", nil)
			refused := res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden
			if refused == allowed {
				t.Errorf("%s as %q: %s, allowed is %v\n%s", pattern, role, res.Status, allowed, body)
			}
			if role == "" && refused && (res.StatusCode != http.StatusUnauthorized || res.Header.Get("WWW-Authenticate") == "") {
				t.Errorf("%s: not signed in, got %s", pattern, res.Status)
			}
			if res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Content-Security-Policy") == "" {
				t.Errorf("%s: headers %v", pattern, res.Header)
			}
		}
	}
}

func TestUnknownTokens(t *testing.T) {
	p := plane.Start(t)
	for _, token := range []string{"Bearer " + access.NewToken(), "Bearer ", "Bearer x", "Basic " + p.Tokens[policy.Admin], p.Tokens[policy.Admin], "Bearer " + p.Tokens[policy.Admin] + "x"} {
		res, body := request(t, p, "", http.MethodGet, "/v1/whoami", "", http.Header{"Authorization": {token}})
		if res.StatusCode != http.StatusUnauthorized || strings.Contains(body, "rf_") && !strings.Contains(body, "rf_…") {
			t.Errorf("%.12s: %s %s", token, res.Status, body)
		}
	}
}

func TestDenialsAreRecordedButCannotFillTheRecord(t *testing.T) {
	p := plane.Start(t)
	for i := range 60 {
		res, _ := request(t, p, policy.Viewer, http.MethodPost, "/v1/apply", "{}", nil)
		if res.StatusCode != http.StatusForbidden {
			t.Fatalf("try %d: %s", i, res.Status)
		}
	}
	events, err := p.Admin.Events(t.Context(), wire.EventQuery{Type: "access.denied"})
	if err != nil || len(events.Items) < 20 || len(events.Items) > 40 {
		t.Fatalf("%d denials recorded: %v", len(events.Items), err)
	}
	e := events.Items[0]
	if e.Actor != "user:viewer" || e.Subject != "api/apply" || !strings.Contains(string(e.Data), "/v1/apply") {
		t.Errorf("%+v", e)
	}
}

func TestIdempotencyKeys(t *testing.T) {
	p := plane.Start(t)
	body := fmt.Sprintf(`{"files":[{"name":"a","text":%q}]}`, plane.Shop)
	post := func(role policy.Role, key, body string) (*http.Response, string) {
		return request(t, p, role, http.MethodPost, "/v1/apply", body, http.Header{"Idempotency-Key": {key}})
	}
	first, said := post(policy.Admin, "one", body)
	again, saidAgain := post(policy.Admin, "one", body)
	if first.StatusCode != http.StatusOK || again.StatusCode != http.StatusOK || said != saidAgain || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the same request: %s %s\n%s %s", first.Status, said, again.Status, saidAgain)
	}
	if !strings.Contains(said, `"created"`) {
		t.Errorf("the first answer: %s", said)
	}
	if res, _ := post(policy.Admin, "one", `{"files":[{"name":"b","text":""}]}`); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("another request under the same key: %s", res.Status)
	}
	if _, said := post(policy.Admin, "two", body); !strings.Contains(said, `"unchanged"`) {
		t.Errorf("another key: %s", said)
	}
	if res, _ := post(policy.Viewer, "one", body); res.StatusCode != http.StatusForbidden {
		t.Errorf("somebody else's key: %s", res.Status)
	}
	if res, _ := post(policy.Admin, strings.Repeat("k", 201), body); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a long key: %s", res.Status)
	}
	refused, why := post(policy.Admin, "bad", `{"files":[]}`)
	if again, same := post(policy.Admin, "bad", `{"files":[]}`); again.StatusCode != refused.StatusCode || same != why {
		t.Errorf("a refusal is answered alike: %s, %s", refused.Status, again.Status)
	}
}

func TestLimits(t *testing.T) {
	p := plane.Start(t)
	large := `{"reason":"` + strings.Repeat("x", 2<<20) + `"}`
	for _, header := range []http.Header{nil, {"Idempotency-Key": {"k"}}} {
		res, body := request(t, p, policy.Admin, http.MethodPost, "/v1/rollouts/x/pause", large, header)
		if res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("a large body: %s %s", res.Status, body)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/v1/rollouts/x/pause", io.MultiReader(strings.NewReader(large)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + p.Tokens[policy.Admin]}, "Idempotency-Key": header["Idempotency-Key"]}
		chunked, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		chunked.Body.Close()
		if chunked.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("a large body of unknown length: %s", chunked.Status)
		}
	}
}
