package upkeep

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/store"
)

// KindUpkeep is the kind of the documents that say what was recorded last of a unit, named by it.
const KindUpkeep = "Upkeep"

// actor is who the record names for what a data plane did by itself.
const actor = "system:dataplane"

// Told is what was recorded last of a unit.
type Told struct {
	Scaled   map[string]int     `json:"scaled,omitempty"`   // instances, by service
	Restarts map[string]Restart `json:"restarts,omitempty"` // by instance
	Phase    string             `json:"phase,omitempty"`    // of its maintenance
}

// Restart is what was recorded of an instance's restarts.
type Restart struct {
	Count int       `json:"count"`
	At    time.Time `json:"at"`
}

// An instance that crashes again and again is recorded at its first restarts, and then at most every restartsEvery.
const (
	firstRestarts = 3
	restartsEvery = 5 * time.Minute
)

// Run records what units report until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(k.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			for _, o := range k.Fleet.Units() {
				if now.Sub(o.Time) > silent {
					continue
				}
				if err := k.record(ctx, o, now.UTC()); err != nil && ctx.Err() == nil && !errs.Is(err, errs.Conflict) {
					k.Logger.Warn("what a unit did is not recorded, yet", "unit", o.Unit, "err", err)
				}
			}
		}
	}
}

// record writes what is new in a report. Another control plane that hears the same writes first or not at all.
func (k *Keeper) record(ctx context.Context, o fleet.Observed, now time.Time) error {
	var was Told
	doc, err := k.Store.Get(ctx, KindUpkeep, o.Unit)
	switch {
	case err == nil:
		if err := json.Unmarshal(doc.Body, &was); err != nil {
			return err
		}
	case !errs.Is(err, errs.Missing):
		return err
	}
	is, events, err := was.next(o, now)
	if err != nil || len(events) == 0 {
		return err
	}
	body, err := json.Marshal(is)
	if err != nil {
		return err
	}
	_, err = k.Store.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: KindUpkeep, Name: o.Unit, Rev: doc.Rev, Body: body}}, Events: events})
	return err
}

// next is what is to be recorded of a report, after what was.
func (t Told) next(o fleet.Observed, now time.Time) (Told, []audit.Event, error) {
	is := Told{Scaled: map[string]int{}, Restarts: map[string]Restart{}, Phase: o.Rest}
	var events []audit.Event
	var failed error
	tell := func(typ, subject string, data any) {
		e, err := audit.New(now, typ, actor, subject, data)
		if err != nil {
			failed = err
		}
		events = append(events, e)
	}
	for _, s := range o.Services {
		if s.Scaled != nil {
			is.Scaled[s.Name] = s.Scaled.Instances
			if before := t.Scaled[s.Name]; before != s.Scaled.Instances && (before != 0 || s.Scaled.Reason != "") {
				tell("instances.scaled", "service/"+s.Name, map[string]any{"unit": o.Unit, "before": before, "instances": s.Scaled.Instances, "min": s.Scaled.Min, "max": s.Scaled.Max, "reason": s.Scaled.Reason})
			}
		}
		for _, slot := range s.Slots {
			for _, in := range slot.Instances {
				r := t.Restarts[in.ID]
				if in.Restarts < r.Count { // a new instance of an old name
					r = Restart{}
				}
				if in.Restarts > r.Count && (in.Restarts <= firstRestarts || now.Sub(r.At) >= restartsEvery) {
					r = Restart{in.Restarts, now}
					tell("instance.restarted", "service/"+s.Name, map[string]any{"unit": o.Unit, "instance": in.ID, "version": slot.Version, "restarts": in.Restarts, "reason": in.LastExit})
				}
				if r.Count > 0 {
					is.Restarts[in.ID] = r
				}
			}
		}
	}
	if t.Phase != is.Phase {
		word := map[string]string{fleet.Leaving: "unit.left", fleet.Resting: "unit.rested", fleet.Returning: "unit.restarted", fleet.Serving: "unit.served"}[is.Phase]
		if word == "" {
			return is, nil, fmt.Errorf("unit %s reports that it is %q, which is no state of a maintenance", o.Unit, is.Phase)
		}
		tell(word, "unit/"+o.Unit, nil)
	}
	return is, events, failed
}
