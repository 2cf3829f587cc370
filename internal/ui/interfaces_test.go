package ui_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/contract"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/policy"
)

// promises knows one service.
type promises struct{}

func (promises) Show(_ context.Context, service string) (contract.Overview, error) {
	if service != "shop" {
		return contract.Overview{}, errs.E(errs.Missing, "there is no service %q", service)
	}
	o := contract.Overview{Service: service, Versions: []contract.VersionInterface{{Version: "v1", Format: "openapi", Operations: 2}}}
	o.Rule.Rule, o.Rule.Window = "refuse", fleet.Dur(168*time.Hour)
	o.Operations = []contract.Usage{
		{Operation: fleet.Operation{Name: "GET /old", Deprecated: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Sunset: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)}, In: []string{"v1"},
			Callers: []contract.Caller{{Service: evil, Version: "v3", Requests: 1234, Last: time.Now()}}},
		{Operation: fleet.Operation{Name: "GET /new"}, In: []string{"v1"}},
		{Operation: fleet.Operation{Name: "other"}, Callers: []contract.Caller{{Service: "unknown", Requests: 1, Last: time.Now()}}},
	}
	return o, nil
}

func (promises) Check(context.Context, string, string) (contract.Report, error) {
	return contract.Report{}, nil
}

func TestInterfaceOnAPage(t *testing.T) {
	w := start(t)
	w.opts.Contracts = promises{}
	w.url = w.serve()
	b := w.as(policy.Viewer)
	res, body := b.get("/services/shop/interface")
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s\n%s", res.Status, body)
	}
	for _, want := range []string{"GET /old", "2026-03-01", "over", "nobody", "what no interface names", "within 7 d is refused", "Calls are not counted for as long yet", "<b>v1</b> openapi, 2 operations"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(body, "<script>alert") {
		t.Error("a caller's name is not escaped")
	}
	if res, _ := b.get("/services/nothing/interface"); res.StatusCode != http.StatusNotFound {
		t.Errorf("of an unknown service: %s", res.Status)
	}
	if _, body := b.get("/services/shop"); !strings.Contains(body, "/services/shop/interface") {
		t.Error("the service's page does not lead there")
	}
}
