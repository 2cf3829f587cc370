package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/launchdarkly/go-sdk-common/v3/ldcontext"
	ld "github.com/launchdarkly/go-server-sdk-evaluation/v3"
	"github.com/launchdarkly/go-server-sdk-evaluation/v3/ldmodel"
	goff "github.com/thomaspoignant/go-feature-flag"
	"github.com/thomaspoignant/go-feature-flag/ffcontext"

	ours "github.com/ringfence/ringfence/internal/flag"
)

// The flags of all evaluators are the same three, each in the evaluator's own words.
var measuredKeys = []string{"static", "3 conditions", "25 %"}

const measured = `{"flags": {
  "static": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"},
  "3 conditions": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting": {"if": [{"and": [
     {"==": [{"var": "plan"}, "beta"]}, {"ends_with": [{"var": "email"}, "@example.com"]}, {"in": [{"var": "country"}, ["de", "fr", "nl"]]}]}, "on", "off"]}},
  "25 %": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting": {"fractional": [["on", 25], ["off", 75]]}}}}`

const measuredGOFF = `{
  "static": {"variations": {"on": true, "off": false}, "defaultRule": {"variation": "on"}},
  "3 conditions": {"variations": {"on": true, "off": false}, "targeting": [{"query": "plan eq \"beta\" and email ew \"@example.com\" and country in [\"de\", \"fr\", \"nl\"]", "variation": "on"}], "defaultRule": {"variation": "off"}},
  "25 %": {"variations": {"on": true, "off": false}, "defaultRule": {"percentage": {"on": 25, "off": 75}}}}`

var measuredLD = map[string]string{
	"static": `{"key": "static", "on": true, "version": 1, "salt": "s", "variations": [true, false], "fallthrough": {"variation": 0}, "offVariation": 1}`,
	"3 conditions": `{"key": "three", "on": true, "version": 1, "salt": "s", "variations": [true, false], "fallthrough": {"variation": 1}, "offVariation": 1, "rules": [{"id": "r", "variation": 0, "clauses": [
     {"attribute": "plan", "op": "in", "values": ["beta"]}, {"attribute": "email", "op": "endsWith", "values": ["@example.com"]}, {"attribute": "country", "op": "in", "values": ["de", "fr", "nl"]}]}]}`,
	"25 %": `{"key": "part", "on": true, "version": 1, "salt": "s", "variations": [true, false], "offVariation": 1, "fallthrough": {"rollout": {"variations": [{"variation": 0, "weight": 25000}, {"variation": 1, "weight": 75000}]}}}`,
}

var measuredUser = object{"targetingKey": "5c3d8535-f81a-4478-a6d3-afaa4d51199e", "plan": "beta", "email": "carol@example.com", "country": "nl", "tier": "gold"}

// rival is an evaluator that is measured: for a flag, what is done over and over, and what it answers.
type rival struct {
	name  string
	flags map[string]func() bool
}

func rivals() ([]rival, error) {
	var all []rival
	for _, make := range []func() (rival, error){oursMeasured, flagdMeasured, goffMeasured, ldMeasured} {
		r, err := make()
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, agree(all)
}

// agree makes sure that the same is measured; a share may have other users in it.
func agree(all []rival) error {
	for _, r := range all {
		for _, key := range []string{"static", "3 conditions"} {
			if !r.flags[key]() {
				return fmt.Errorf("%s does not serve %q", r.name, key)
			}
		}
	}
	return nil
}

func oursMeasured() (rival, error) {
	r := rival{"ours", map[string]func() bool{}}
	set, problems := ours.Parse([]byte(measured))
	if len(problems) > 0 {
		return r, fmt.Errorf("%v", problems)
	}
	ctx := contextOf(measuredUser, time.Now())
	for _, key := range measuredKeys {
		r.flags[key] = func() bool { return set.Evaluate(key, ctx).Variant == "on" }
	}
	return r, nil
}

func flagdMeasured() (rival, error) {
	r := rival{"flagd core", map[string]func() bool{}}
	o, err := newOracle([]byte(measured))
	for _, key := range measuredKeys {
		r.flags[key] = func() bool { return o.resolve(key, measuredUser).Variant == "on" }
	}
	return r, err
}

type retriever struct{}

func (retriever) Retrieve(context.Context) ([]byte, error) { return []byte(measuredGOFF), nil }

func goffMeasured() (rival, error) {
	r := rival{"GO Feature Flag", map[string]func() bool{}}
	client, err := goff.New(goff.Config{PollingInterval: time.Hour, Retriever: retriever{}, FileFormat: "json", LeveledLogger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return r, err
	}
	b := ffcontext.NewEvaluationContextBuilder(measuredUser["targetingKey"].(string))
	for name, v := range measuredUser {
		if name != "targetingKey" {
			b = b.AddCustom(name, v)
		}
	}
	user := b.Build()
	for _, key := range measuredKeys {
		r.flags[key] = func() bool {
			d, err := client.BoolVariationDetails(key, user, false)
			return err == nil && d.Value
		}
	}
	return r, nil
}

// noData is for an evaluator whose flags need no others.
type noData struct{}

func (noData) GetFeatureFlag(string) *ldmodel.FeatureFlag { return nil }
func (noData) GetSegment(string) *ldmodel.Segment         { return nil }

func ldMeasured() (rival, error) {
	r := rival{"LaunchDarkly", map[string]func() bool{}}
	e := ld.NewEvaluator(noData{})
	b := ldcontext.NewBuilder(measuredUser["targetingKey"].(string))
	for name, v := range measuredUser {
		if name != "targetingKey" {
			b.SetString(name, v.(string))
		}
	}
	user := b.Build()
	for key, raw := range measuredLD {
		f, err := ldmodel.NewJSONDataModelSerialization().UnmarshalFeatureFlag([]byte(raw))
		if err != nil {
			return r, err
		}
		r.flags[key] = func() bool { return e.Evaluate(&f, user, nil).Detail.Value.BoolValue() }
	}
	return r, user.Err()
}
