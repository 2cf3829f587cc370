package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/authority"
	"github.com/ringfence/ringfence/internal/resource"
)

// onCall says whether somebody is on call for a service now.
func (s *server) onCall(ctx context.Context, who, service string) (bool, error) {
	owner := ""
	if r, err := s.catalog.Get(ctx, resource.KindService, service); err == nil {
		if spec, err := resource.As[resource.Service](r); err == nil {
			owner = spec.Owner
		}
	}
	all, err := s.responder.OnCall(ctx, "", time.Minute)
	for _, r := range all {
		if !r.Spec.Concerns(service, owner) && !r.Spec.ForAll() {
			continue
		}
		for _, shift := range r.Now {
			if shift.Person == who {
				return true, nil
			}
		}
	}
	return false, err
}

// hurting are the incidents that are not resolved, with those who lead them or have taken them.
func (s *server) hurting(ctx context.Context) ([]authority.Hurt, error) {
	open, err := s.responder.Hurting(ctx)
	list := make([]authority.Hurt, len(open))
	for i, one := range open {
		list[i] = authority.Hurt{ID: one.ID, Service: one.Service}
		for _, who := range []string{one.Commander, one.AckedBy} {
			if name := principalName(who); name != "" && !slices.Contains(list[i].Responders, name) {
				list[i].Responders = append(list[i].Responders, name)
			}
		}
	}
	return list, err
}

// alarm sends an alert of access, which ends by itself.
func (s *server) alarm(ctx context.Context, name, grant, summary string) error {
	now := time.Now().UTC()
	return s.pager.Send(ctx, []alert.Alert{{Labels: map[string]string{"alertname": name, "severity": "page", "grant": grant},
		Annotations: map[string]string{"summary": summary}, StartsAt: now, EndsAt: now.Add(time.Hour)}})
}

// principalName is the name of a person in events, "" for what is none.
func principalName(actor string) string {
	if strings.HasPrefix(actor, "system:") {
		return ""
	}
	return strings.TrimPrefix(actor, "user:")
}
