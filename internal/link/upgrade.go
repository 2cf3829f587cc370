package link

import (
	"context"
	"slices"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/store"
)

// Upgraded records that a process of a unit was replaced, or was not. The control plane's is of no unit.
func (h *Hub) Upgraded(ctx context.Context, unit string, u fleet.Upgrade) error {
	return RecordUpgrade(ctx, h.store, unit, u)
}

// RecordUpgrade is Upgraded for who has the store and no hub yet.
func RecordUpgrade(ctx context.Context, s Store, unit string, u fleet.Upgrade) error {
	if !slices.Contains([]string{"control", "data", "up"}, u.Part) {
		return errs.E(errs.Invalid, "part %q: expected control, data or up", u.Part)
	}
	if u.From == "" || u.To == "" || u.By == "" || u.At.IsZero() {
		return errs.E(errs.Invalid, "an upgrade needs from, to, by and at")
	}
	const longest = 2000
	u.Why = u.Why[:min(len(u.Why), longest)]
	subject, typ := "ringfence/"+u.Part, fleet.EvUpgraded
	if unit != "" {
		subject = "ringfence/" + unit + "-" + u.Part
	}
	if u.Why != "" {
		typ = fleet.EvUpgradeFailed
	}
	e, err := audit.New(u.At, typ, "os:"+u.By, subject, u)
	if err != nil {
		return err
	}
	_, err = s.Commit(ctx, store.Write{Events: []audit.Event{e}})
	return err
}
