package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/open-feature/flagd/core/pkg/evaluator"
	"github.com/open-feature/flagd/core/pkg/logger"
	"github.com/open-feature/flagd/core/pkg/model"
	"github.com/open-feature/flagd/core/pkg/store"
	"github.com/open-feature/flagd/core/pkg/sync"
	"go.uber.org/zap"

	"github.com/ringfence/ringfence/internal/exposure"
	ours "github.com/ringfence/ringfence/internal/flag"
)

// answer is what either evaluator says, in a form that compares.
type answer struct{ Value, Variant, Reason, Code, Metadata string }

func (a answer) String() string {
	return fmt.Sprintf("%s %s %s %s %s", a.Reason, a.Code, a.Variant, a.Value, a.Metadata)
}

// oracle is flagd.
type oracle struct{ eval *evaluator.JSON }

func newOracle(definition []byte) (oracle, error) {
	log := logger.NewLogger(zap.NewNop(), false)
	s, err := store.NewStore(log, []string{"x"})
	if err != nil {
		return oracle{}, err
	}
	o := oracle{evaluator.NewJSON(log, s)}
	return o, o.eval.SetState(sync.DataSync{Source: "x", FlagData: string(definition)})
}

func (o oracle) resolve(key string, ctx map[string]any) evaluator.AnyValue {
	return o.eval.ResolveAsAnyValue(context.Background(), "", key, ctx)
}

func (o oracle) answer(key string, ctx map[string]any) answer {
	v := o.resolve(key, ctx)
	a := answer{Variant: v.Variant, Reason: v.Reason, Metadata: text(v.Metadata)}
	if v.Reason == model.FallbackReason { // its servers do so too
		a.Reason = model.DefaultReason
	}
	if v.Error != nil {
		return answer{Reason: model.ErrorReason, Code: v.Error.Error(), Metadata: a.Metadata}
	}
	if a.Variant != "" {
		a.Value = text(v.Value)
	}
	return a
}

func ourAnswer(set *ours.Set, key string, ctx map[string]any, now time.Time) answer {
	r := set.Evaluate(key, contextOf(ctx, now))
	a := answer{Variant: r.Variant, Reason: string(r.Reason), Code: string(r.Code), Metadata: text(r.Metadata)}
	if r.HasValue() {
		a.Value = text(r.Value)
	}
	return a
}

func contextOf(attributes map[string]any, now time.Time) *exposure.Context {
	key, _ := attributes["targetingKey"].(string)
	return &exposure.Context{TargetingKey: key, Attributes: attributes, Timestamp: now.Unix()}
}

func text(v any) string {
	if m, ok := v.(map[string]any); ok && m == nil {
		return "{}"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(b)
}
