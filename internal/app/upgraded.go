package app

import (
	"context"
	"time"

	"github.com/ringfence/ringfence/internal/cli"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/handover"
	"github.com/ringfence/ringfence/internal/link"
)

// parts are the planes as people name them when they upgrade.
var parts = map[string]string{"server": "control", "dataplane": "data", "up": "up"}

const (
	recordLimit = 5 * time.Minute // for a control plane that is away
	recordPause = 2 * time.Second
)

// done is what is recorded of a replacement that was asked for by who.
func done(plane string, who handover.Who) fleet.Upgrade {
	return fleet.Upgrade{Part: parts[plane], By: who.By, From: who.Version, To: cli.Version(), At: who.At, Back: who.Back}
}

// tellUpgrade makes the control plane record an upgrade, however long that takes within reason. One of a former version does not know
// how; then the log is all there is.
func (d *dataPlane) tellUpgrade(ctx context.Context, u fleet.Upgrade) {
	ctx, cancel := context.WithTimeout(ctx, recordLimit)
	defer cancel()
	if err := record(ctx, d.control, d.Unit, u); err != nil {
		d.Logger.Warn("the upgrade is not on the record", "err", err)
	}
}

// record tells a control plane of an upgrade until it answers.
func record(ctx context.Context, c *client.Client, unit string, u fleet.Upgrade) error {
	for {
		err := c.Upgraded(ctx, unit, u)
		if err == nil || ctx.Err() != nil || !errs.Is(err, errs.Unavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(recordPause):
		}
	}
}

// refusedUpgrade implements replaceable.
func (d *dataPlane) refusedUpgrade(u fleet.Upgrade) { go d.tellUpgrade(d.working, u) }

// refusedUpgrade implements replaceable.
func (p *controlPlane) refusedUpgrade(u fleet.Upgrade) { p.recordUpgrade(p.working, u) }

func (p *controlPlane) recordUpgrade(ctx context.Context, u fleet.Upgrade) {
	p.mu.Lock()
	s := p.server
	p.mu.Unlock()
	if err := link.RecordUpgrade(ctx, s.store, "", u); err != nil {
		p.Logger.Warn("the upgrade is not on the record", "err", err)
	}
}
