package controller

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// KindLine is the kind of the one document that says whether the line is stopped.
const KindLine = "Line"

const lineName = "line"

// Line returns whether the line is stopped.
func (c *Controller) Line(ctx context.Context) (rollout.Line, error) {
	v, err := readOrNew[rollout.Line](ctx, c.Store, KindLine, lineName)
	return v.value, err
}

// TurnLine stops the line, so that every rollout stays where it is while harm is still taken back, or lifts it, which
// takes another person than the one who stopped it. Asking for what is so already changes nothing.
func (c *Controller) TurnLine(ctx context.Context, actor, reason string, stop bool, now time.Time) (rollout.Line, error) {
	if stop {
		return c.turn(ctx, "line.stopped", actor, reason, now, func(l rollout.Line) (rollout.Line, error) {
			if reason == "" {
				return l, errs.E(errs.Invalid, "reason: missing, expected why everyone has to stop")
			}
			if l.Stopped {
				return l, nil
			}
			return rollout.Line{Stopped: true, By: actor, Reason: reason, At: now}, nil
		})
	}
	return c.turn(ctx, "line.lifted", actor, reason, now, func(l rollout.Line) (rollout.Line, error) {
		switch {
		case !l.Stopped:
			return l, nil
		case l.By == actor:
			return l, errs.E(errs.Denied, "%s stopped the line, and a second person has to lift it", actor).Next("ask someone else to lift it")
		}
		return rollout.Line{By: actor, Reason: reason, At: now}, nil
	})
}

func (c *Controller) turn(ctx context.Context, event, actor, reason string, now time.Time, decide func(rollout.Line) (rollout.Line, error)) (rollout.Line, error) {
	for {
		was, err := readOrNew[rollout.Line](ctx, c.Store, KindLine, lineName)
		if err != nil {
			return rollout.Line{}, err
		}
		is, err := decide(was.value)
		if err != nil || is == was.value {
			return was.value, err
		}
		body, err := json.Marshal(is)
		if err != nil {
			return is, err
		}
		e, err := audit.New(now, event, actor, "line", map[string]string{"reason": reason})
		if err != nil {
			return is, err
		}
		_, err = c.Store.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: KindLine, Name: lineName, Rev: was.rev, Body: body}}, Events: []audit.Event{e}})
		if errs.Is(err, errs.Conflict) && ctx.Err() == nil {
			continue
		}
		c.Declared()
		return is, err
	}
}
