package provider

import (
	"context"
	"encoding/json"
	"maps"
	"math"
	"time"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
)

// BooleanEvaluation answers for a flag of booleans.
func (p *Provider) BooleanEvaluation(_ context.Context, key string, otherwise bool, about openfeature.FlattenedContext) openfeature.BoolResolutionDetail {
	r := p.evaluate(key, flag.Boolean, about)
	return openfeature.BoolResolutionDetail{Value: valueOr(r, otherwise), ProviderResolutionDetail: details(r)}
}

// StringEvaluation answers for a flag of texts.
func (p *Provider) StringEvaluation(_ context.Context, key, otherwise string, about openfeature.FlattenedContext) openfeature.StringResolutionDetail {
	r := p.evaluate(key, flag.String, about)
	return openfeature.StringResolutionDetail{Value: valueOr(r, otherwise), ProviderResolutionDetail: details(r)}
}

// FloatEvaluation answers for a flag of numbers.
func (p *Provider) FloatEvaluation(_ context.Context, key string, otherwise float64, about openfeature.FlattenedContext) openfeature.FloatResolutionDetail {
	r := p.evaluate(key, flag.Number, about)
	return openfeature.FloatResolutionDetail{Value: valueOr(r, otherwise), ProviderResolutionDetail: details(r)}
}

// IntEvaluation answers for a flag of numbers, without their fraction.
func (p *Provider) IntEvaluation(_ context.Context, key string, otherwise int64, about openfeature.FlattenedContext) openfeature.IntResolutionDetail {
	r := p.evaluate(key, flag.Number, about)
	value := otherwise
	if n, ok := r.Value.(float64); ok && n >= math.MinInt64 && n < math.MaxInt64 {
		value = int64(n)
	} else if ok {
		r = flag.Result{Reason: flag.Failed, Code: flag.TypeMismatch, Details: "the number is too large for an integer", Metadata: r.Metadata}
	}
	return openfeature.IntResolutionDetail{Value: value, ProviderResolutionDetail: details(r)}
}

// ObjectEvaluation answers for a flag of any type. What it answers belongs to the caller.
func (p *Provider) ObjectEvaluation(_ context.Context, key string, otherwise any, about openfeature.FlattenedContext) openfeature.InterfaceResolutionDetail {
	r := p.evaluate(key, flag.Any, about)
	value := otherwise
	if r.HasValue() {
		value = copied(r.Value)
	}
	return openfeature.InterfaceResolutionDetail{Value: value, ProviderResolutionDetail: details(r)}
}

const notReady flag.Code = "PROVIDER_NOT_READY"

// nobody is who asks for what is the same for everyone.
var nobody exposure.Context

func (p *Provider) evaluate(key string, want flag.Type, about openfeature.FlattenedContext) flag.Result {
	s := p.served.Load()
	if s == nil {
		return flag.Result{Reason: flag.Failed, Code: notReady, Details: "there are no flags yet"}
	}
	if f := s.Flag(key); f == nil || !f.Targeted() {
		return s.EvaluateAs(key, want, &nobody)
	}
	c := exposure.Context{Attributes: plain(about), Timestamp: time.Now().Unix()}
	if len(s.context) > 0 {
		c.Attributes = maps.Clone(c.Attributes)
		if c.Attributes == nil {
			c.Attributes = map[string]any{}
		}
		maps.Copy(c.Attributes, s.context)
	}
	c.TargetingKey, _ = c.Attributes[openfeature.TargetingKey].(string)
	return s.EvaluateAs(key, want, &c)
}

func valueOr[T any](r flag.Result, otherwise T) T {
	if v, ok := r.Value.(T); ok {
		return v
	}
	return otherwise
}

// details is all but the value.
func details(r flag.Result) openfeature.ProviderResolutionDetail {
	d := openfeature.ProviderResolutionDetail{Reason: openfeature.Reason(r.Reason), Variant: r.Variant, FlagMetadata: r.Metadata}
	switch r.Code {
	case "":
	case notReady:
		d.ResolutionError = openfeature.NewProviderNotReadyResolutionError(r.Details)
	case flag.NotFound:
		d.ResolutionError = openfeature.NewFlagNotFoundResolutionError(r.Details)
	case flag.ParseError:
		d.ResolutionError = openfeature.NewParseErrorResolutionError(r.Details)
	case flag.TypeMismatch:
		d.ResolutionError = openfeature.NewTypeMismatchResolutionError(r.Details)
	default:
		d.ResolutionError = openfeature.NewGeneralResolutionError(r.Details)
	}
	return d
}

// copied is a value of JSON that may be written to.
func copied(v any) any {
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for name, item := range v {
			c[name] = copied(item)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, item := range v {
			c[i] = copied(item)
		}
		return c
	}
	return v
}

// plain is a context in the types that rules know. Most are so already, and are not copied.
func plain(about map[string]any) map[string]any {
	for _, v := range about {
		if !isPlain(v) {
			c := make(map[string]any, len(about))
			for name, v := range about {
				c[name] = made(v)
			}
			return c
		}
	}
	return about
}

func isPlain(v any) bool {
	switch v := v.(type) {
	case nil, string, bool, float64, float32, int, int32, int64, uint32, uint64, []string, json.Number:
		return true
	case []any:
		for _, item := range v {
			if !isPlain(item) {
				return false
			}
		}
		return true
	case map[string]any:
		for _, item := range v {
			if !isPlain(item) {
				return false
			}
		}
		return true
	}
	return false
}

// made is a value as JSON has it: a time is its text. What JSON cannot say is nothing.
func made(v any) any {
	if isPlain(v) {
		return v
	}
	raw, err := json.Marshal(v)
	var c any
	if err != nil || json.Unmarshal(raw, &c) != nil {
		return nil
	}
	return c
}
