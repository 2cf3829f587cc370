package send_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/notify/send"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

const (
	key    = "a key of at least sixteen bytes"
	secret = "/services/T000/B000/unsayable"
)

var at = time.Date(2026, 3, 1, 12, 0, 5, 0, time.UTC)

// message is what all channels are tried with; in its texts is what must be taken for text.
func message() notify.Message {
	ev := audit.Seal(41, audit.Genesis, audit.Event{Time: at, Type: rollout.EvRolledBack, Actor: "system:controller", Subject: "rollout/shop-7", Data: json.RawMessage(`{"to":"v2","users":118}`)})
	return notify.Message{
		ID: "42-abc.1.chat", Title: "shop v3: rolled back to v2", Mood: notify.Bad, Why: "<!channel> Errors & more [click](https://evil.example.com) <https://evil.example.com|here>.",
		Facts: []notify.Fact{{Name: "Service", Value: "shop"}, {Name: "Users who got it", Value: "118"}},
		Lines: []notify.Line{{At: at, Text: "Harm was detected in ring canary"}, {At: at.Add(5 * time.Second), Text: "Everyone has v2 again"}},
		Next:  "Release a fixed version.", Link: "https://ringfence.example.com/rollouts/shop-7", At: at,
		Events: []notify.Event{{Event: ev, ID: "42-" + ev.Hash[:16], Source: "https://ringfence.example.com", Service: "shop", Rollout: "shop-7", Plan: "standard",
			From: "v2@c1", To: "v3", Digest: "sha256:" + strings.Repeat("a", 64), Units: []string{"eu", "us"}, By: "user:ann", Text: "Everyone has v2 again",
			Link: "https://ringfence.example.com/rollouts/shop-7"}},
	}
}

// secrets is a folder with files.
func secrets(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// hit is a request as it was received.
type hit struct {
	path   string
	header http.Header
	body   []byte
}

// fake is a receiver that answers as it is told to.
type fake struct {
	*httptest.Server
	mu   sync.Mutex
	hits []hit
}

func newFake(t *testing.T, answer http.HandlerFunc) *fake {
	t.Helper()
	f := &fake{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.hits = append(f.hits, hit{r.URL.RequestURI(), r.Header, body})
		f.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) all() []hit {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits
}

// channels are those that go by HTTP, with what their receivers answer when all is well.
var channels = map[string]struct {
	to   func(url string) resource.Receiver
	good http.HandlerFunc
}{
	"slack": {func(string) resource.Receiver { return resource.Receiver{Slack: &resource.SlackTo{URLFile: "url"}} },
		func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }},
	"teams": {func(string) resource.Receiver { return resource.Receiver{Teams: &resource.TeamsTo{URLFile: "url"}} },
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }},
	"webhook": {func(url string) resource.Receiver {
		return resource.Receiver{Webhook: &resource.WebhookTo{URL: url, SecretFile: "key"}}
	}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }},
}

func sender(t *testing.T, url string) *send.Sender {
	t.Helper()
	return send.New(send.Options{Secrets: secrets(t, map[string]string{"url": url + secret + "\n", "key": key + "\n"}), Version: "v1", Now: func() time.Time { return at }})
}

// try makes one attempt and returns what is known when it did not succeed.
func try(t *testing.T, s *send.Sender, to resource.Receiver, m notify.Message, timeout time.Duration) *notify.Failure {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	err := s.Send(ctx, to, m)
	if err == nil {
		return nil
	}
	var f *notify.Failure
	if !errors.As(err, &f) {
		t.Fatalf("%v is no Failure", err)
	}
	hidden := "unsayable"
	if to.Webhook != nil { // its URL is in the resource, for all to read
		hidden = key
	}
	if strings.Contains(f.Text, hidden) {
		t.Errorf("tells a secret: %s", f.Text)
	}
	return f
}

func TestAnswers(t *testing.T) {
	for channel, c := range channels {
		for name, tt := range map[string]struct {
			answer http.HandlerFunc
			want   *notify.Failure // without the text
			text   string
		}{
			"taken":   {c.good, nil, ""},
			"busy":    {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "7"); w.WriteHeader(429) }, &notify.Failure{After: 7 * time.Second}, "answered 429"},
			"refused": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "invalid_payload", 400) }, &notify.Failure{Refused: true}, "answered 400: invalid_payload"},
			"gone":    {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no_service", 404) }, &notify.Failure{}, "answered 404: no_service"},
			"broken":  {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>oh</html>", 500) }, &notify.Failure{}, "answered 500"},
			"gateway": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, &notify.Failure{Unsure: true}, "answered 502"},
			"redirect": {func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			}, &notify.Failure{}, "answered 307, a redirect, which is not followed"},
			"echo": {func(w http.ResponseWriter, r *http.Request) {
				http.Error(w, "no "+r.URL.Path+" and "+key+"\x1b[31m", http.StatusForbidden)
			},
				&notify.Failure{}, "answered 403: no "},
			"endless": {func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(503)
				for range 1 << 10 {
					_, _ = w.Write(make([]byte, 1<<10))
				}
			}, &notify.Failure{}, "answered 503"},
			"slow": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, &notify.Failure{Unsure: true}, "no answer in time"},
			"cut": {func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := w.(http.Hijacker).Hijack()
				if err == nil {
					_ = conn.Close()
				}
			}, &notify.Failure{Unsure: true}, "closed before there was an answer"},
		} {
			t.Run(channel+", "+name, func(t *testing.T) {
				f := newFake(t, tt.answer)
				timeout := 10 * time.Second
				if name == "slow" {
					timeout = 200 * time.Millisecond
				}
				got := try(t, sender(t, f.URL), c.to(f.URL+secret), message(), timeout)
				if n := len(f.all()); n != 1 {
					t.Errorf("%d requests", n)
				}
				checkFailure(t, got, tt.want, tt.text)
			})
		}
	}
}

func checkFailure(t *testing.T, got, want *notify.Failure, text string) {
	t.Helper()
	if got == nil || want == nil {
		if got != want {
			t.Errorf("got %v, expected %v", got, want)
		}
		return
	}
	if !strings.Contains(got.Text, text) || strings.ContainsAny(got.Text, "\n\x1b") || len(got.Text) > 600 {
		t.Errorf("%q does not say %q", got.Text, text)
	}
	bare := *got
	bare.Text = ""
	if d := cmp.Diff(*want, bare); d != "" {
		t.Error(d)
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	_ = l.Close()
	for channel, c := range channels {
		t.Run(channel, func(t *testing.T) {
			checkFailure(t, try(t, sender(t, url), c.to(url), message(), 10*time.Second), &notify.Failure{}, "the connection was refused")
		})
	}
}

func TestPlacesNotSentTo(t *testing.T) {
	s := send.New(send.Options{Secrets: secrets(t, map[string]string{"url": "https://169.254.169.254/latest", "plain": "http://hooks.example.com/x", "key": key, "page": "ftp://localhost/"})})
	checkFailure(t, try(t, s, resource.Receiver{Slack: &resource.SlackTo{URLFile: "url"}}, message(), 10*time.Second), &notify.Failure{}, "link-local addresses are not sent to")
	checkFailure(t, try(t, s, resource.Receiver{Webhook: &resource.WebhookTo{URL: "https://[fe80::1]/", SecretFile: "key"}}, message(), 10*time.Second), &notify.Failure{}, "link-local")
	checkFailure(t, try(t, s, resource.Receiver{Slack: &resource.SlackTo{URLFile: "plain"}}, message(), 10*time.Second), &notify.Failure{}, "secret plain is no https URL")
	checkFailure(t, try(t, s, resource.Receiver{Teams: &resource.TeamsTo{URLFile: "page"}}, message(), 10*time.Second), &notify.Failure{}, "secret page is no https URL")
	checkFailure(t, try(t, s, resource.Receiver{}, message(), 10*time.Second), &notify.Failure{}, "names no receiver")
}

func TestSecretsAreReadEachTime(t *testing.T) {
	f := newFake(t, channels["slack"].good)
	dir := secrets(t, map[string]string{"url": f.URL + "/old"})
	s := send.New(send.Options{Secrets: dir})
	to := resource.Receiver{Slack: &resource.SlackTo{URLFile: "url"}}
	if got := try(t, s, to, message(), 10*time.Second); got != nil {
		t.Fatal(got)
	}
	if err := os.WriteFile(filepath.Join(dir, "url"), []byte(f.URL+"/new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := try(t, s, to, message(), 10*time.Second); got != nil {
		t.Fatal(got)
	}
	if hits := f.all(); len(hits) != 2 || hits[0].path != "/old" || hits[1].path != "/new" || hits[0].header.Get("User-Agent") != "Ringfence/dev" {
		t.Errorf("%+v", hits)
	}
}

func TestSecretsRefused(t *testing.T) {
	dir := secrets(t, map[string]string{"open": "https://a.example.com", "empty": "\n", "two": "https://a.example.com\nhttps://b.example.com",
		"large": "https://a.example.com/" + strings.Repeat("x", 9000), "short": "fifteen bytes..", "keys": strings.Repeat(key+"\n", 3)})
	outside := filepath.Join(t.TempDir(), "admin.token")
	for _, err := range []error{
		os.WriteFile(outside, []byte("https://hush.example.com"), 0o600),
		os.Symlink(outside, filepath.Join(dir, "way-out")),
		os.Chmod(filepath.Join(dir, "open"), 0o644),
		os.Mkdir(filepath.Join(dir, "folder"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s := send.New(send.Options{Secrets: dir})
	for name, want := range map[string]string{
		"none": "secret none cannot be read: no such file", "open": "secret open may be read by others", "empty": "secret empty is empty",
		"two": "secret two has several lines", "large": "secret large has more than", "way-out": "secret way-out cannot be read", "folder": "secret folder is no regular file",
		"../x": "cannot be read",
	} {
		checkFailure(t, try(t, s, resource.Receiver{Slack: &resource.SlackTo{URLFile: name}}, message(), time.Second), &notify.Failure{}, want)
	}
	for name, want := range map[string]string{"short": "secret short has a key of 15 bytes, expected at least 16", "keys": "secret keys has 3 keys"} {
		to := resource.Receiver{Webhook: &resource.WebhookTo{URL: "https://a.example.com", SecretFile: name}}
		checkFailure(t, try(t, s, to, message(), time.Second), &notify.Failure{}, want)
	}
	checkFailure(t, try(t, send.New(send.Options{}), resource.Receiver{Slack: &resource.SlackTo{URLFile: "x"}}, message(), time.Second), &notify.Failure{}, "no folder of secrets")
	checkFailure(t, try(t, send.New(send.Options{Secrets: filepath.Join(dir, "none")}), resource.Receiver{Slack: &resource.SlackTo{URLFile: "x"}}, message(), time.Second),
		&notify.Failure{}, "the folder of secrets cannot be opened")
}

// verify is what a receiver does, as the documentation shows it.
func verify(header string, body []byte, key string, now time.Time) error {
	var signed string
	var macs []string
	for part := range strings.SplitSeq(header, ",") {
		switch name, value, _ := strings.Cut(part, "="); name {
		case "t":
			signed = value
		case "v1":
			macs = append(macs, value)
		}
	}
	seconds, err := strconv.ParseInt(signed, 10, 64)
	if err != nil {
		return err
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > 5*time.Minute || age < -5*time.Minute {
		return errors.New("signed at another time")
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(signed + "."))
	mac.Write(body)
	for _, m := range macs {
		if got, err := hex.DecodeString(m); err == nil && hmac.Equal(got, mac.Sum(nil)) {
			return nil
		}
	}
	return errors.New("signed by somebody else")
}

func TestSignature(t *testing.T) {
	f := newFake(t, channels["webhook"].good)
	other := "another key, of thirty-two bytes"
	s := send.New(send.Options{Secrets: secrets(t, map[string]string{"key": other + "\r\n\n" + key + "\n"}), Now: func() time.Time { return at }})
	m := message()
	if got := try(t, s, resource.Receiver{Webhook: &resource.WebhookTo{URL: f.URL, SecretFile: "key"}}, m, 10*time.Second); got != nil {
		t.Fatal(got)
	}
	h := f.all()[0]
	sig := h.header.Get("X-Ringfence-Signature")
	for _, k := range []string{key, other} {
		if err := verify(sig, h.body, k, at.Add(time.Minute)); err != nil {
			t.Errorf("%s: %v", sig, err)
		}
	}
	for name, err := range map[string]error{
		"another key":  verify(sig, h.body, key+"x", at),
		"another body": verify(sig, append(h.body, ' '), key, at),
		"another time": verify(strings.Replace(sig, "t=", "t=1", 1), h.body, key, at),
		"a replay":     verify(sig, h.body, key, at.Add(6*time.Minute)),
	} {
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if id := h.header.Get("X-Ringfence-Delivery"); id != m.Events[0].ID {
		t.Errorf("delivery %s of event %s", id, m.Events[0].ID)
	}
	if ct := h.header.Get("Content-Type"); ct != "application/cloudevents+json; charset=utf-8" {
		t.Error(ct)
	}
}

func sayer(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}
