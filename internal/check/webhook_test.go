package check_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/check"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
)

var vars = map[string]string{"service": "shop", "version": "v3@c2", "stable": "v2", "ring": "early", "rollout": "shop-7", "unit": "eu"}

func webhook(w resource.WebhookGate) check.Request {
	return check.Request{Kind: health.SignalWebhook, Gate: "smoke", Webhook: &w, Vars: vars}
}

func wants(t *testing.T, got health.Reading, verdict health.Verdict, text string) {
	t.Helper()
	if got.Verdict != verdict || !strings.Contains(got.Text, text) || got.Value != nil {
		t.Errorf("got %s %q, expected %s %q", got.Verdict, got.Text, verdict, text)
	}
}

func TestWebhookAnswers(t *testing.T) {
	for _, c := range []struct {
		name    string
		status  int
		kind    string
		body    string
		verdict health.Verdict
		text    string
	}{
		{"nothing", 204, "", "", health.Pass, "answered 204"},
		{"words", 200, "text/plain", "fail", health.Pass, "answered 200"},
		{"pass", 200, "application/json", `{"verdict":"pass","reason":"all 12 tests"}`, health.Pass, "answered 200: all 12 tests"},
		{"no verdict", 200, "application/json", `{"ok":false}`, health.Pass, "answered 200"},
		{"fail", 200, "application/json; charset=utf-8", `{"verdict":"fail","reason":"checkout\n\u001b[31mbroken"}`, health.Fail, "answered 200: checkout [31mbroken"},
		{"fail, of a kind of its own", 202, "application/problem+json", `{"verdict":"fail"}`, health.Fail, "answered 202"},
		{"fail, of no kind", 200, "", ` {"verdict":"fail"}`, health.Fail, "answered 200"},
		{"hold", 200, "application/json", `{"verdict":"hold","reason":"still running"}`, health.Hold, "still running"},
		{"an unknown verdict", 200, "application/json", `{"verdict":"maybe"}`, health.Hold, `"maybe", expected pass, hold or fail`},
		{"a verdict of another type", 200, "application/json", `{"verdict":true}`, health.Hold, "no JSON object"},
		{"half a body", 200, "application/json", `{"verdict":"fail`, health.Hold, "no JSON object"},
		{"a long body", 200, "application/json", `{"verdict":"fail","reason":"` + strings.Repeat("x", 70_000) + `"}`, health.Hold, "more than 65536 bytes"},
		{"a long reason", 200, "application/json", `{"verdict":"fail","reason":"` + strings.Repeat("x", 60_000) + `"}`, health.Fail, strings.Repeat("x", 500)},
		{"not found", 404, "text/html", "<h1>no", health.Fail, "answered 404"},
		{"conflict with a reason", 409, "application/json", `{"verdict":"pass","reason":"an incident is open"}`, health.Fail, "answered 409: an incident is open"},
		{"moved", 302, "", "", health.Hold, "redirects are not followed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			followed := false
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/hook" {
					followed = true
				}
				w.Header()["Content-Type"] = nil
				if c.kind != "" {
					w.Header().Set("Content-Type", c.kind)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			got := check.New(check.Options{}).Run(t.Context(), webhook(resource.WebhookGate{URL: server.URL + "/hook"}))
			wants(t, got, c.verdict, c.text)
			if followed || len(got.Text) > 600 || strings.ContainsAny(got.Text, "\x1b\n") {
				t.Errorf("followed %v, text %q", followed, got.Text)
			}
		})
	}
}

// signed checks a signature as a receiver does who knows the documentation only.
func signed(t *testing.T, r *http.Request, key string, body []byte) {
	t.Helper()
	stamp, mac, ok := strings.Cut(strings.TrimPrefix(r.Header.Get("X-Ringfence-Signature"), "t="), ",v1=")
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(stamp + "." + string(body)))
	if !ok || mac != hex.EncodeToString(h.Sum(nil)) {
		t.Errorf("the signature %q is not that of %s", r.Header.Get("X-Ringfence-Signature"), body)
	}
}

func TestWebhookSaysWhatItIsAboutAndSigns(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("s3cret key\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		signed(t, r, "s3cret key", body)
		var got map[string]string
		if err := json.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
		for name, want := range map[string]string{"service": "shop", "version": "v3@c2", "stable": "v2", "ring": "early", "rollout": "shop-7", "unit": "eu", "gate": "smoke",
			"id": r.Header.Get("X-Ringfence-Delivery")} {
			if got[name] != want || want == "" {
				t.Errorf("%s is %q, expected %q", name, got[name], want)
			}
		}
		if at, err := time.Parse(time.RFC3339, got["time"]); err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("time is %q", got["time"])
		}
		if r.Method != "POST" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("User-Agent") != "Ringfence" {
			t.Errorf("%s %v", r.Method, r.Header)
		}
		if r.RequestURI != "/v3%40c2/gate?ring=early&unknown={unknown}" {
			t.Errorf("asked %s", r.RequestURI)
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"reason":"`+strings.Repeat("x", 495)+`s3cret key"}`)
	}))
	defer server.Close()
	got := check.New(check.Options{}).Run(t.Context(), webhook(resource.WebhookGate{URL: server.URL + "/{version}/gate?ring={ring}&unknown={unknown}", SecretFile: key}))
	wants(t, got, health.Fail, "answered 403: xxx")
	if strings.Contains(got.Text, "s3cr") {
		t.Errorf("the key is told: %s", got.Text)
	}
}

// What is put into a URL cannot become another part of it.
func TestWebhookEscapes(t *testing.T) {
	var asked string
	runner := check.NewOver(func(r *http.Request) (*http.Response, error) {
		asked = r.URL.String()
		return &http.Response{StatusCode: 204, Body: http.NoBody}, nil
	})
	req := webhook(resource.WebhookGate{URL: "https://gate.example/{ring}?v={version}&s={service}"})
	req.Vars = map[string]string{"ring": "../{version}", "version": "1.0+b&x=1#f %41", "service": "ü/@:"}
	wants(t, runner.Run(t.Context(), req), health.Pass, "gate.example answered 204")
	if want := "https://gate.example/..%2F%7Bversion%7D?v=1.0%2Bb%26x%3D1%23f%20%2541&s=%C3%BC%2F%40%3A"; asked != want {
		t.Errorf("asked %s, expected %s", asked, want)
	}
	req.Webhook.URL, req.Vars["service"] = "https://{service}/gate", "evil.example/?"
	wants(t, runner.Run(t.Context(), req), health.Hold, "the webhook's url")
}

// tries runs a webhook in a bubble of time, answered by f, and returns when each try was made.
func tries(t *testing.T, w resource.WebhookGate, f func(try int, r *http.Request) (*http.Response, error)) (health.Reading, []time.Duration) {
	t.Helper()
	var reading health.Reading
	var at []time.Duration
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ids := map[string]bool{}
		runner := check.NewOver(func(r *http.Request) (*http.Response, error) {
			at = append(at, time.Since(began))
			ids[r.Header.Get("X-Ringfence-Delivery")] = true
			return f(len(at), r)
		})
		reading = runner.Run(t.Context(), webhook(w))
		if len(ids) != 1 {
			t.Errorf("tries of one delivery are called %v", ids)
		}
	})
	return reading, at
}

func status(code int, header ...string) (*http.Response, error) {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: code, Header: h, Body: http.NoBody}, nil
}

func TestWebhookTriesAgain(t *testing.T) {
	got, at := tries(t, resource.WebhookGate{URL: "http://gate.example"}, func(try int, _ *http.Request) (*http.Response, error) {
		switch try {
		case 1:
			return nil, syscall.ECONNREFUSED
		case 2:
			return status(503)
		}
		return status(200)
	})
	wants(t, got, health.Pass, "answered 200")
	if len(at) != 3 || at[1] < 500*time.Millisecond || at[1] > time.Second || at[2]-at[1] < time.Second || at[2]-at[1] > 2*time.Second {
		t.Errorf("tried at %v", at)
	}
}

func TestWebhookGivesUp(t *testing.T) {
	for _, c := range []struct {
		name string
		w    resource.WebhookGate
		f    func(int, *http.Request) (*http.Response, error)
		text string
		n    int
		took time.Duration // at least, until the last try
	}{
		{"refused", resource.WebhookGate{}, func(int, *http.Request) (*http.Response, error) { return nil, syscall.ECONNREFUSED }, "gate.example: the connection was refused; tried 3 times", 3, 0},
		{"broken", resource.WebhookGate{Retries: 4}, func(int, *http.Request) (*http.Response, error) { return status(500) }, "gate.example answered 500; tried 5 times", 5, 7 * time.Second},
		{"too many, for a while", resource.WebhookGate{Retries: 1}, func(int, *http.Request) (*http.Response, error) { return status(429, "Retry-After", "20") }, "answered 429; tried 2 times", 2, 20 * time.Second},
		{"too many, for long", resource.WebhookGate{Retries: 1}, func(int, *http.Request) (*http.Response, error) { return status(429, "Retry-After", "86400") }, "answered 429; tried 2 times", 2, 30 * time.Second},
		{"silent", resource.WebhookGate{Timeout: fleet.Dur(3 * time.Second), Retries: 1}, func(_ int, r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, "gate.example: no answer within 3s; tried 2 times", 2, 3 * time.Second},
		{"for ever at it", resource.WebhookGate{Retries: 1}, func(_ int, r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: drip{r.Context()}}, nil
		}, "gate.example: no answer within 10s; tried 2 times", 2, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.w.URL = "http://gate.example/?token=hush"
			got, at := tries(t, c.w, c.f)
			wants(t, got, health.Hold, c.text)
			if len(at) != c.n || at[c.n-1] < c.took || at[c.n-1] > c.took+time.Minute {
				t.Errorf("tried at %v", at)
			}
			if strings.Contains(got.Text, "hush") {
				t.Errorf("the URL's query is told: %s", got.Text)
			}
		})
	}
}

// drip is a body that never ends.
type drip struct{ ctx context.Context }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	case <-time.After(time.Second):
		return copy(p, "."), nil
	}
}

func (d drip) Close() error { return nil }

func TestWebhookIsWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		runner := check.NewOver(func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") })
		wants(t, runner.Run(ctx, webhook(resource.WebhookGate{URL: "http://gate.example"})), health.Hold, "withdrawn")
	})
}

func TestWebhookThatCannotBeAsked(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	asked := 0
	runner := check.NewOver(func(*http.Request) (*http.Response, error) { asked++; return status(200) })
	for _, c := range []struct {
		w    resource.WebhookGate
		text string
	}{
		{resource.WebhookGate{URL: "http://gate.example/%zz?token=hush"}, "url: invalid URL escape"},
		{resource.WebhookGate{URL: "file:///etc/passwd"}, "url: expected an http"},
		{resource.WebhookGate{URL: "http://gate.example", SecretFile: filepath.Join(dir, "none")}, "secretFile: open"},
		{resource.WebhookGate{URL: "http://gate.example", SecretFile: write("empty", "\n")}, "secretFile: is empty"},
		{resource.WebhookGate{URL: "http://gate.example", SecretFile: write("large", strings.Repeat("x", 70_000))}, "secretFile: has more"},
		{resource.WebhookGate{URL: "http://gate.example", SecretFile: dir}, "secretFile: is no regular file"},
		{resource.WebhookGate{URL: "http://gate.example", SecretFile: pipe}, "secretFile: is no regular file"},
	} {
		got := runner.Run(t.Context(), webhook(c.w))
		wants(t, got, health.Hold, c.text)
		if strings.Contains(got.Text, "hush") {
			t.Errorf("the URL's query is told: %s", got.Text)
		}
	}
	if asked != 0 {
		t.Errorf("asked %d times", asked)
	}
	wants(t, runner.Run(t.Context(), check.Request{Kind: "webhook"}), health.Hold, "nothing to ask")
	wants(t, runner.Run(t.Context(), check.Request{}), health.Hold, "nothing to ask")
}

// Where clouds hand out credentials, nobody asks in our name.
func TestLinkLocalIsNotAsked(t *testing.T) {
	runner := check.New(check.Options{})
	for _, at := range []string{"169.254.169.254", "[fe80::1%25lo]", "[::ffff:169.254.169.254]", "[fd00:ec2::254]"} {
		wants(t, runner.Run(t.Context(), webhook(resource.WebhookGate{URL: "http://" + at + "/latest"})), health.Hold, "link-local addresses are not asked")
		got := runner.Run(t.Context(), check.Request{Kind: health.SignalProbe, Probe: &resource.ProbeGate{URL: "http://" + at + "/latest"}})
		wants(t, got, health.Fail, "link-local addresses are not asked")
	}
}
