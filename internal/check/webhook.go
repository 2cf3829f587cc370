package check

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ringfence/ringfence/internal/health"
)

// Limits and defaults of webhooks.
const (
	webhookTimeout = 10 * time.Second
	webhookRetries = 2
	webhookBytes   = 64 << 10
	keyBytes       = 64 << 10
	reasonBytes    = 500
	firstWait      = time.Second
	longestWait    = 30 * time.Second
)

// situation is the body of a webhook.
type situation struct {
	ID      string    `json:"id"` // of the delivery, the same for all of its tries
	Time    time.Time `json:"time"`
	Gate    string    `json:"gate"`
	Service string    `json:"service"`
	Version string    `json:"version"` // what is being rolled out
	Stable  string    `json:"stable"`  // what ran before
	Ring    string    `json:"ring"`
	Rollout string    `json:"rollout"`
	Unit    string    `json:"unit,omitempty"`
}

// said is what a webhook may answer.
type said struct {
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
}

func (r *Runner) webhook(ctx context.Context, req Request) health.Reading {
	w := req.Webhook
	target := put(w.URL, req.Vars, urlEscape)
	if err := usable(target); err != nil {
		return noData("the webhook's url: " + oneLine(err.Error(), 200))
	}
	key, err := readKey(w.SecretFile)
	if err != nil {
		return noData("the webhook's secretFile: " + oneLine(err.Error(), 200))
	}
	v := req.Vars
	s := situation{ID: rand.Text(), Time: time.Now().UTC(), Gate: req.Gate, Service: v["service"], Version: v["version"], Stable: v["stable"],
		Ring: v["ring"], Rollout: v["rollout"], Unit: v["unit"]}
	body, err := json.Marshal(s)
	if err != nil {
		return noData("the webhook's situation cannot be written")
	}
	tries := 1 + cmp.Or(w.Retries, webhookRetries)
	var last string
	for try := range tries {
		reading, wait := r.post(ctx, target, s.ID, body, key, w.Timeout.D(webhookTimeout))
		reading.Text = hide(reading.Text, key)
		if wait < 0 {
			return reading
		}
		last = reading.Text
		if try+1 < tries && !sleep(ctx, max(wait, pause(try))) {
			return noData("the question was withdrawn")
		}
	}
	return noData(fmt.Sprintf("%s; tried %d times", last, tries))
}

// post is one try. A wait below zero means that the reading stands; else it is no data, and worth another try after it.
func (r *Runner) post(ctx context.Context, target, id string, body, key []byte, timeout time.Duration) (health.Reading, time.Duration) {
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "X-Ringfence-Delivery": {id}}
	if key != nil {
		header.Set("X-Ringfence-Signature", sign(key, time.Now(), body))
	}
	a, err := get(ctx, r.outside, http.MethodPost, target, header, body, webhookBytes, timeout)
	if ctx.Err() != nil {
		return noData("the question was withdrawn"), -1
	}
	if errors.Is(err, errLinkLocal) {
		return noData(host(target) + ": " + why(err, timeout)), -1
	}
	if err != nil {
		return noData(host(target) + ": " + why(err, timeout)), 0
	}
	a.body = []byte(hide(string(a.body), key))
	status := fmt.Sprintf("%s answered %d", host(target), a.status)
	switch {
	case a.status >= 200 && a.status < 300:
		return verdict(a, status), -1
	case a.status >= 500, a.status == http.StatusTooManyRequests, a.status == http.StatusRequestTimeout, a.status == http.StatusTooEarly:
		return noData(status), retryAfter(a.header)
	case a.status >= 400:
		return fail(reason(status, a)), -1
	}
	return noData(status + ", which is no verdict: redirects are not followed"), -1
}

// verdict is what an answer of 2xx means: a pass, unless it says otherwise or cannot be understood.
func verdict(a answer, status string) health.Reading {
	if !isJSON(a) {
		return pass(status)
	}
	var s said
	switch err := json.Unmarshal(a.body, &s); {
	case a.cut:
		return noData(fmt.Sprintf("%s with more than %d bytes", status, webhookBytes))
	case err != nil:
		return noData(status + " with a body that is no JSON object of verdict and reason")
	case s.Verdict == "" || s.Verdict == "pass":
		return pass(reason(status, a))
	case s.Verdict == "fail":
		return fail(reason(status, a))
	case s.Verdict == "hold":
		return noData(reason(status, a))
	}
	return noData(fmt.Sprintf("%s with the verdict %q, expected pass, hold or fail", status, oneLine(s.Verdict, 40)))
}

func isJSON(a answer) bool {
	kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	return len(bytes.TrimSpace(a.body)) > 0 && (kind == "application/json" || strings.HasSuffix(kind, "+json") || bytes.HasPrefix(bytes.TrimSpace(a.body), []byte("{")))
}

// reason is the status with the reason that the answer gives, if it gives one.
func reason(status string, a answer) string {
	var s said
	if isJSON(a) && json.Unmarshal(a.body, &s) == nil && strings.TrimSpace(s.Reason) != "" {
		return status + ": " + oneLine(s.Reason, reasonBytes)
	}
	return status
}

// sign is the value of X-Ringfence-Signature. The time is part of what is signed, so that an old question cannot be
// asked again by someone else.
func sign(key []byte, now time.Time, body []byte) string {
	t := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// readKey reads a key anew each time, so that it may be changed. The end of its last line is no part of it.
func readKey(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe is not waited for
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.New("is no regular file")
	}
	key, err := io.ReadAll(io.LimitReader(f, keyBytes+1))
	key = bytes.TrimRight(key, "\r\n")
	switch {
	case err != nil:
		return nil, err
	case len(key) == 0:
		return nil, errors.New("is empty")
	case len(key) > keyBytes:
		return nil, fmt.Errorf("has more than %d bytes", keyBytes)
	}
	return key, nil
}

// hide takes a key out of a text, in case somebody sends it back.
func hide(text string, key []byte) string {
	plain := oneLine(string(key), len(key))
	if len(plain) < 4 {
		return text // no key worth the name, and a letter in every other word
	}
	return strings.ReplaceAll(text, plain, "[key]")
}

// pause is how long to wait after a try: about twice as long each time, and never in step with others.
func pause(try int) time.Duration {
	wait := min(firstWait<<min(try, 10), longestWait)
	return wait/2 + mathrand.N(wait/2+1)
}

// retryAfter is how long the other side wants to be left alone, as far as we are willing.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, longestWait)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, min(time.Until(at), longestWait))
	}
	return 0
}
