package cli

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ringfence/ringfence/test/sandbox"
)

// receiver is a program that takes webhooks, and what it took.
type receiver struct {
	key    string
	mu     sync.Mutex
	down   bool
	taken  []string       // type and subject of each, in order
	times  map[string]int // by delivery
	broken []string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		http.Error(w, "closed for today", http.StatusServiceUnavailable)
		return
	}
	stamp, mac, _ := strings.Cut(strings.TrimPrefix(req.Header.Get("X-Ringfence-Signature"), "t="), ",v1=")
	want := hmac.New(sha256.New, []byte(r.key))
	fmt.Fprintf(want, "%s.%s", stamp, body)
	var e struct{ ID, Type, Subject string }
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	if err != nil || mac != hex.EncodeToString(want.Sum(nil)) || e.ID != req.Header.Get("X-Ringfence-Delivery") {
		r.broken = append(r.broken, fmt.Sprintf("%v: %v %s", err, req.Header, body))
	}
	if r.times[e.ID]++; r.times[e.ID] == 1 {
		r.taken = append(r.taken, e.Type+" "+e.Subject)
	}
}

// receive starts a program that takes webhooks signed with the key in a file, or has it refuse and take them again:
//
//	receive key-file
//	receive down|up
//
// It sets $RECEIVER.
func receive(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	if neg || len(args) != 1 || (args[0] == "down" || args[0] == "up") != (s.receiver != nil) {
		ts.Fatalf("usage: receive key-file, then receive down|up")
	}
	if s.receiver != nil {
		s.receiver.mu.Lock()
		defer s.receiver.mu.Unlock()
		s.receiver.down = args[0] == "down"
		return
	}
	s.receiver = &receiver{key: strings.TrimSpace(ts.ReadFile(args[0])), times: map[string]int{}}
	server := httptest.NewServer(s.receiver)
	ts.Defer(server.Close)
	ts.Setenv("RECEIVER", server.URL)
}

// received waits until what was taken matches, and prints it: type and subject of each event. One that was taken twice
// or was not signed fails the script.
//
//	received regexp
func received(ts *testscript.TestScript, neg bool, args []string) {
	r := of(ts).receiver
	if neg || len(args) != 1 || r == nil {
		ts.Fatalf("usage: received regexp, after receive")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	ts.Check(sandbox.Await(func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if all := strings.Join(r.taken, "\n"); !pattern.MatchString(all) {
			return fmt.Errorf("no match for %s in\n%s", pattern, all)
		}
		return nil
	}))
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintln(ts.Stdout(), strings.Join(r.taken, "\n"))
	for id, n := range r.times {
		if n > 1 {
			ts.Fatalf("%s was taken %d times", id, n)
		}
	}
	if len(r.broken) > 0 {
		ts.Fatalf("%s", r.broken[0])
	}
}
