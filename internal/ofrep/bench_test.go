package ofrep

import (
	"bytes"
	"fmt"
	"github.com/ringfence/ringfence/internal/flaggate"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const someone = `{"context":{"targetingKey":"5c3d8535-f81a-4478-a6d3-afaa4d51199e","plan":"beta","email":"carol@example.com","country":"nl","version":"2.10.0","age":42}}`

// thousand flags: a third each without a rule, with three conditions, and with a share.
func thousand() string {
	var b strings.Builder
	b.WriteString(`{"metadata":{"flagSetId":"shop"},"flags":{`)
	for i := range 1000 {
		if i > 0 {
			b.WriteByte(',')
		}
		rule := [...]string{``, `,"targeting":{"if":[{"and":[{"==":[{"var":"plan"},"beta"]},{"ends_with":[{"var":"email"},"@example.com"]},{"in":[{"var":"country"},["de","nl"]]}]},"on","off"]}`,
			`,"targeting":{"fractional":[["on",25],["off",75]]}`}[i%3]
		fmt.Fprintf(&b, `"flag-%04d":{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off","metadata":{"owner":"team-shop"}%s}`, i, rule)
	}
	return b.String() + "}}"
}

// again is a body that can be read again.
type again struct{ *bytes.Reader }

func (again) Close() error { return nil }

type sink struct{ header http.Header }

func (s sink) Header() http.Header         { return s.header }
func (s sink) Write(b []byte) (int, error) { return len(b), nil }
func (s sink) WriteHeader(int)             {}

func benchmark(b *testing.B, path string) {
	h := New(Options{Gate: &flaggate.Gate{Source: newFeed(b, thousand()), Environment: "prod"}})
	body := again{bytes.NewReader([]byte(someone))}
	r := httptest.NewRequest(http.MethodPost, path, body)
	w := sink{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			b.Fatal(err)
		}
		r.Body = body
		h.ServeHTTP(w, r)
	}
}

func BenchmarkSingle(b *testing.B)      { benchmark(b, "/ofrep/v1/evaluate/flags/flag-0001") }
func BenchmarkSingleShare(b *testing.B) { benchmark(b, "/ofrep/v1/evaluate/flags/flag-0002") }
func BenchmarkBulk1000(b *testing.B)    { benchmark(b, "/ofrep/v1/evaluate/flags") }

// The answer for one flag costs few allocations: the body's text, and numbers and text that go into a map.
func TestAllocations(t *testing.T) {
	h := New(Options{Gate: &flaggate.Gate{Source: newFeed(t, thousand()), Environment: "prod"}})
	body := again{bytes.NewReader([]byte(someone))}
	r := httptest.NewRequest(http.MethodPost, "/ofrep/v1/evaluate/flags/flag-0001", body)
	w := sink{http.Header{}}
	if n := testing.AllocsPerRun(200, func() {
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		r.Body = body
		h.ServeHTTP(w, r)
	}); n > 20 {
		t.Errorf("%v allocations", n)
	}
}
