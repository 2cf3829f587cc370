package agent

import (
	"context"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

// Accounts are counted by the gateway minute by minute. Minutes stay with it until they were taken.
type Accounts interface {
	AccountMinutes(now time.Time) []fleet.AccountMinute
	AccountsTold(told []fleet.AccountMinute)
}

// Ledger is where the control plane takes them.
type Ledger interface {
	TellAccounts(ctx context.Context, unit string, minutes []fleet.AccountMinute) error
}

const (
	accountsEvery = 2 * time.Second // between two looks for a minute that is over
	accountsBatch = 8               // minutes of services told at once: a few hundred KB
)

// TellAccounts tells each minute of the accounts once it is over, until ctx ends. What is not
// taken is told again: the control plane counts it once.
func (a *Agent) TellAccounts(ctx context.Context, from Accounts, to Ledger) {
	tick := time.NewTicker(accountsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			a.tellAccounts(ctx, from, to)
		}
	}
}

func (a *Agent) tellAccounts(ctx context.Context, from Accounts, to Ledger) {
	for some := range slices.Chunk(from.AccountMinutes(time.Now()), accountsBatch) {
		send, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := to.TellAccounts(send, a.Unit, some)
		cancel()
		switch {
		case err == nil:
		case errs.Is(err, errs.Invalid): // it would be refused for ever
			a.Logger.Warn("how accounts fared is refused", "err", err)
		default:
			a.Logger.Debug("cannot tell how accounts fare", "err", err)
			return
		}
		from.AccountsTold(some)
	}
}
