package link

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// KindHolder is the kind of the documents that say which data plane has a unit, named by the unit.
const KindHolder = "UnitHolder"

const (
	// silence is how long a data plane that has a unit may say nothing before another one gets it: longer than a restart
	// that drains.
	silence = time.Minute
	// settling is how long a control plane that was just started leaves a unit to whom it was with: a data plane that is
	// there is heard of within a second or two.
	settling = 10 * time.Second
)

// fence lets one data plane at a time have a unit. Two that share one, such as two machines that were both left at
// unit local, would each report half of the truth, and rollouts would be decided on whichever came last.
type fence struct {
	began time.Time

	mu      sync.Mutex
	holders map[string]holder
}

type holder struct {
	plane string
	heard time.Time
}

// holding is what is stored of a holder.
type holding struct {
	Plane string    `json:"plane"`
	Since time.Time `json:"since"`
}

// Admit returns errs.Conflict when another data plane than this one has the unit. A plane that does not say who it is
// is not fenced.
func (h *Hub) Admit(ctx context.Context, unit, plane string) error {
	if plane == "" {
		return nil
	}
	now := time.Now()
	known, taken := h.fence.look(unit, plane, now)
	switch {
	case taken:
		return anotherHas(unit)
	case known:
		return nil
	}
	doc, err := h.store.Get(ctx, KindHolder, unit)
	if err != nil && !errs.Is(err, errs.Missing) {
		return err
	}
	var before holding
	if err == nil {
		if err := json.Unmarshal(doc.Body, &before); err != nil {
			return errs.Wrap(errs.Internal, err, "the holder of unit %s", unit)
		}
	}
	if before.Plane != plane {
		if before.Plane != "" && now.Sub(h.fence.began) < settling {
			return anotherHas(unit)
		}
		err := h.take(ctx, unit, doc.Rev, holding{plane, now.UTC()}, before.Plane)
		if errs.Is(err, errs.Conflict) && h.has(ctx, unit, plane) { // another request of the same data plane was faster
			err = nil
		}
		if err != nil {
			return err
		}
	}
	h.fence.mu.Lock()
	h.fence.holders[unit] = holder{plane, now}
	h.fence.mu.Unlock()
	return nil
}

// has reports whether the store says that a plane has a unit.
func (h *Hub) has(ctx context.Context, unit, plane string) bool {
	doc, err := h.store.Get(ctx, KindHolder, unit)
	var now holding
	return err == nil && json.Unmarshal(doc.Body, &now) == nil && now.Plane == plane
}

// look says whether a plane is known to have a unit, or another one has it.
func (f *fence) look(unit, plane string, now time.Time) (known, taken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	has := f.holders[unit]
	if has.plane == plane {
		f.holders[unit] = holder{plane, now}
		return true, false
	}
	return false, has.plane != "" && now.Sub(has.heard) < silence
}

// take records who has a unit from now on; of two that try at once, the store refuses one.
func (h *Hub) take(ctx context.Context, unit string, rev int64, now holding, before string) error {
	body, err := json.Marshal(now)
	if err != nil {
		return err
	}
	w := store.Write{Puts: []store.Doc{{Kind: KindHolder, Name: unit, Rev: rev, Updated: now.Since, Body: body}}}
	if before != "" {
		e, err := audit.New(now.Since, "unit.taken", "system:link", "unit/"+unit, map[string]string{"plane": now.Plane, "before": before})
		if err != nil {
			return err
		}
		w.Events = []audit.Event{e}
	}
	_, err = h.store.Commit(ctx, w)
	return err
}

func anotherHas(unit string) error {
	return errs.E(errs.Conflict, "another data plane has unit %s", unit).
		Next("Give each data plane a --unit of its own; to replace one, stop it, and this one takes over a minute later.")
}
