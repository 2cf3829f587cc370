package app

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringfence/ringfence/internal/agent"
	"github.com/ringfence/ringfence/internal/blob"
	"github.com/ringfence/ringfence/internal/catalog"
	"github.com/ringfence/ringfence/internal/ship"
	"github.com/ringfence/ringfence/internal/workload"
)

// keeper is what one process at a time may do in a data plane's folder: look after instances, follow the control plane, write. The
// gateway before it goes on without.
type keeper struct {
	runtime *workload.Runtime
	agent   *agent.Agent
	shipper *ship.Shipper

	shown prometheus.Collector
	end   context.CancelFunc // nil before run
	work  sync.WaitGroup
}

// newKeeper takes stock of the folder. It starts and stops nothing.
func (d *dataPlane) newKeeper() (*keeper, error) {
	k := &keeper{}
	blobs, err := blob.New(filepath.Join(d.Data, "artifacts"))
	if err != nil {
		return nil, err
	}
	k.runtime, err = workload.New(workload.Options{
		Dir: filepath.Join(d.Data, "workload"), Logger: d.Logger, Artifacts: blob.NewCache(blobs, d.control.Artifact, catalog.MaxArtifact),
		Traffic: d.traffic(), OnChange: func() { k.agent.Changed() },
		Env: func() map[string]string { return d.flags.environ() }, Secrets: newSecretCache(d.Unit, d.control).get,
	})
	if err != nil {
		return nil, err
	}
	k.shown = k.runtime.Collector(d.Unit)
	if err := d.metrics.Register(k.shown); err != nil {
		return nil, errors.Join(err, k.runtime.Close(false))
	}
	k.agent = agent.New(agent.Options{
		Unit: d.Unit, Admin: d.adminURL, Gate: d.gateURL, Control: d.control, Gateway: d.traffic(), Workload: k.runtime,
		Disk: disk(filepath.Join(d.Data, "desired.json")), Logger: d.Logger, Flags: d.flags.Statuses, Applied: d.flags.schemas.set,
	})
	k.shipper = ship.New(ship.Options{Unit: d.Unit, Boot: strconv.FormatInt(time.Now().UnixNano(), 36), Outputs: k.runtime.Outputs(), Notes: d.notes, Sender: d.control,
		Disk: disk(filepath.Join(d.Data, "shipped.json")), Logger: d.Logger})
	d.keeper.Store(k)
	return k, nil
}

// restore puts in force what was last wanted.
func (k *keeper) restore(ctx context.Context) { k.agent.Restore(ctx) }

// run begins to look after the instances, and to follow and write once settled is closed.
func (k *keeper) run(ctx context.Context, d *dataPlane, settled <-chan struct{}) {
	ctx, k.end = context.WithCancel(ctx)
	k.work.Go(func() { _ = k.runtime.Run(ctx) })
	tellAccounts := func(ctx context.Context) error {
		k.agent.TellAccounts(ctx, d.gateway, d.control)
		return nil
	}
	for _, follow := range []func(context.Context) error{d.flags.Run, k.agent.Run, k.shipper.Run, d.saveUsers, tellAccounts} {
		k.work.Go(func() {
			select {
			case <-settled:
				_ = follow(ctx)
			case <-ctx.Done():
			}
		})
	}
}

// close lets go of the folder. The instances go on, unless they are to be stopped.
func (k *keeper) close(d *dataPlane, stopInstances bool) error {
	if k.end != nil {
		k.end()
	}
	k.work.Wait()
	err := k.runtime.Close(stopInstances)
	d.metrics.Unregister(k.shown)
	return err
}
