package app

import (
	"context"
	"path/filepath"

	"github.com/ringfence/ringfence/internal/attest"
	"github.com/ringfence/ringfence/internal/controller"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/vetting"
	"github.com/ringfence/ringfence/internal/vulndb"
)

// openVetting makes what keeps the evidence of artifacts, and has rollouts ask it.
func (s *server) openVetting() {
	index := &vulndb.Index{Dir: filepath.Join(s.Data, "vulnerabilities"), Blob: func(ctx context.Context, digest string) (string, error) {
		if err := s.blobs.Verify(ctx, digest); err != nil {
			return "", err
		}
		return s.blobs.Path(digest)
	}}
	s.vetting = vetting.New(vetting.Options{Store: s.store, Catalog: s.catalog, Blobs: s.blobs, Checker: attest.Checker{}, Vulnerabilities: index,
		Running: s.running, Alerts: s.pager, Logger: s.Logger})
}

// running is what units shall run, with the users that they report.
func (s *server) running(ctx context.Context) ([]vetting.Running, error) {
	return vetting.Runs(ctx, s.store, controller.KindDesired, func(unit, service string) []fleet.UserCount {
		status, _ := s.hub.Observe(unit, service)
		return status.Users
	})
}

// admitted says why rings may not get what a rollout takes to them. A flag's exposure ships nothing.
func (s *server) admitted(ctx context.Context, service, label string, rings []string) (map[string]string, error) {
	version := resource.SlotOf(label).Version
	if flag.IsSubject(service) || version == "" {
		return nil, nil
	}
	all, err := s.vetting.Admit(ctx, service, version, rings)
	if err != nil {
		return nil, err
	}
	refused := map[string]string{}
	for _, d := range all {
		if !d.Admitted {
			refused[d.Ring] = vetting.Missing(d)
		}
	}
	return refused, nil
}
