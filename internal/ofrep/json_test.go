package ofrep

import (
	"encoding/json"
	"github.com/ringfence/ringfence/internal/flaggate"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

var texts = []string{
	`null`, `true`, ` {"a" : [1, -2.5, 1e3, "x\n\u00e9\ud83d\ude00\ud83dx", {"b":false,"":null}] } `, `"\ud83d\ud83d\ude00"`, `[]`, `{}`, `0`, `-0`, `01`, `1.`, `.5`, `1e`, `-`,
	`123456789012345678901234567890`, `1e400`, `"a`, "\"\x01\"", "\"\xff\xc3\xa9\"", `{"a":1,"a":2}`, `{"a"}`, `{,}`, `[1,]`, `[1 2]`, `nul`, `{"a":1}x`, `"\x"`, `"\u12g4"`, `"\u+123"`, "é", `9007199254740993`, `"` + "\u2028" + `é"`,
}

func readText(text string) (any, error) {
	r := reader{text: text}
	v, err := r.value(0)
	if err == nil {
		err = r.end()
	}
	return v, err
}

// What encoding/json takes, the reader takes as the same, and what it refuses, the reader refuses.
func checkReader(t *testing.T, text string) {
	got, err := readText(text)
	var want any
	wantErr := json.Unmarshal([]byte(text), &want)
	if err == nil && wantErr == nil && !reflect.DeepEqual(got, want) {
		t.Errorf("%q: %#v, want %#v", text, got, want)
	}
	if (err == nil) != (wantErr == nil) && strings.Count(text, "[")+strings.Count(text, "{") <= maxDepth {
		t.Errorf("%q: %v, want %v", text, err, wantErr)
	}
}

func TestReader(t *testing.T) {
	for _, text := range texts {
		checkReader(t, text)
	}
	if _, err := readText(strings.Repeat("[", 100000)); err == nil {
		t.Error("any depth is taken")
	}
}

func FuzzReader(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
	}
	f.Fuzz(checkReader)
}

// A body is never more than read or refused, and what was read is what it says.
func FuzzRequest(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
		f.Add(`{"context":` + text + `}`)
		f.Add(`{"context":{"targetingKey":` + text + `}}`)
	}
	h := New(Options{Gate: &flaggate.Gate{Source: newFeed(f, shop), Environment: "prod"}})
	f.Fuzz(func(t *testing.T, body string) {
		a := pool.Get().(*asked)
		defer a.release()
		bad := a.parse(body)
		var want struct {
			Context map[string]any `json:"context"`
		}
		if bad == nil && utf8.ValidString(body) && strings.Count(body, `"context"`) == 1 && !strings.Contains(body, `\`) && json.Unmarshal([]byte(body), &want) == nil {
			key, _ := want.Context[flaggate.TargetingKey].(string)
			delete(want.Context, flaggate.TargetingKey)
			if _, ok := want.Context[tokenField].(string); ok {
				delete(want.Context, tokenField)
			}
			if a.ctx.TargetingKey != key || len(want.Context) != len(a.ctx.Attributes) {
				t.Errorf("%q: %q %v", body, a.ctx.TargetingKey, a.ctx.Attributes)
			}
		}
		for _, path := range []string{"/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/staff"} {
			w := ask(h, path, body)
			if w.Code != 200 && w.Code != 400 && w.Code != 413 || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%q: %d %s", body, w.Code, w.Body)
			}
			if (w.Code == 200) != (bad == nil) && w.Code != 413 {
				t.Errorf("%q: %d, %v", body, w.Code, bad)
			}
		}
	})
}
