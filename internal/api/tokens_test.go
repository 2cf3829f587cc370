package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/test/plane"
)

// The secret is in the answer and nowhere else: not among the answers that are kept for a day, nor in the record.
func TestATokenIsToldOnce(t *testing.T) {
	p := plane.Start(t)
	made, err := p.Admin.CreateToken(t.Context(), wire.NewToken{Name: "ann", Role: policy.Operator}) // with an idempotency key
	if err != nil || !strings.HasPrefix(made.Secret, "rf_") {
		t.Fatal(made, err)
	}
	for _, kind := range []string{"Answer", "Token", "Tokens"} {
		docs, err := p.Store.List(t.Context(), store.Page{Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			if strings.Contains(d.Name+string(d.Body), made.Secret) || kind == "Answer" {
				t.Errorf("%s %s: %s", kind, d.Name, d.Body)
			}
		}
	}
	events, err := p.Admin.Events(t.Context(), wire.EventQuery{Type: "token.", Subject: "token/ann"})
	if err != nil || len(events.Items) != 1 || strings.Contains(string(events.Items[0].Data), made.Secret) {
		t.Errorf("%+v, %v", events.Items, err)
	}
	ann := client.New(client.Options{URL: p.URL, Token: made.Secret, Patience: -1})
	if who, err := ann.WhoAmI(t.Context()); err != nil || who.Name != "ann" || who.Role != policy.Operator {
		t.Errorf("%+v, %v", who, err)
	}
	if _, err := p.Admin.RevokeToken(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	if _, err := ann.WhoAmI(t.Context()); !errs.Is(err, errs.Denied) {
		t.Errorf("revoked: %v", err)
	}
	if res, body := request(t, p, policy.Admin, http.MethodPost, "/v1/tokens", `{"name":"dp","role":"dataplane"}`, nil); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a data plane's: %s %s", res.Status, body)
	}
}
