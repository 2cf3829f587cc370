package opa_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/opa"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
)

func TestOnlyTrueAllows(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		yes    bool
	}{
		"true":        {200, `{"result":true}`, true},
		"false":       {200, `{"result":false}`, false},
		"undefined":   {200, `{}`, false},
		"null":        {200, `{"result":null}`, false},
		"text":        {200, `{"result":"true"}`, false},
		"object":      {200, `{"result":{"allow":true}}`, false},
		"no JSON":     {200, `true!`, false},
		"error":       {500, `{"result":true}`, false},
		"redirect":    {302, `{"result":true}`, false},
		"without end": {200, `{"result":true,"x":"` + strings.Repeat("x", 1<<20) + `"}`, false},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var in struct {
				Input struct {
					Principal policy.Principal
					Action    string
					Resource  policy.Resource
				}
			}
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Method != http.MethodPost || in.Input.Principal.Name != "alice" || in.Input.Action != "decide" || in.Input.Resource.Service != "shop" {
				t.Errorf("%s: asked %s %+v, %v", name, r.Method, in, err)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}))
		err := opa.New().Ask(t.Context(), resource.RemotePolicy{URL: s.URL + "/v1/data/ringfence/allow"}, policy.Request{Principal: policy.Principal{Name: "alice"}, Action: policy.Decide, Resource: policy.Resource{Service: "shop"}})
		if (err == nil) != c.yes {
			t.Errorf("%s: %v", name, err)
		}
		s.Close()
	}
}

func TestNoAnswerDenies(t *testing.T) {
	stuck := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck }))
	defer s.Close()
	defer close(stuck)
	if err := opa.New().Ask(t.Context(), resource.RemotePolicy{URL: s.URL, Timeout: fleet.Dur(20 * time.Millisecond)}, policy.Request{}); err == nil {
		t.Error("a late answer allowed")
	}
	if err := opa.New().Ask(t.Context(), resource.RemotePolicy{URL: "http://127.0.0.1:1/"}, policy.Request{}); err == nil {
		t.Error("nobody there allowed")
	}
}
