package main

import (
	"encoding/json"
	"fmt"
	"time"

	ours "github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
)

// lowered is a definition with everything that flagd has no words for, brought into its words.
func (g *generator) lowered() ([]byte, []string, error) {
	raw, keys := g.definition()
	var def object
	if err := json.Unmarshal(raw, &def); err != nil {
		return nil, nil, err
	}
	flags := def["flags"].(object)
	for i := range len(flags) {
		f := flags[fmt.Sprintf("flag-%d", i)].(object)
		if g.chance(0.3) {
			f["owner"], f["kind"] = "team", "release"
		}
		if i > 0 && g.chance(0.3) {
			f["prerequisites"] = list{object{"flag": fmt.Sprintf("flag-%d", g.rng.IntN(i)), "variants": list{"red", "green", "true", "1"}[:1+g.rng.IntN(4)]}}
		}
		if g.chance(0.2) {
			at := time.Now().Add(time.Duration(g.rng.IntN(20)-10) * time.Hour).UTC().Truncate(time.Second)
			f["schedule"] = list{object{"from": at.Format(time.RFC3339), "until": at.Add(9 * time.Hour).Format(time.RFC3339), "variant": g.one(variants)}}
		}
		if g.chance(0.3) {
			f["preview"] = object{"title": "a title", "variant": g.one(variants)}
		}
		if g.chance(0.2) {
			f["environments"] = object{"production": object{"defaultVariant": g.one(variants), "targeting": g.rule()}}
		}
	}
	raw, err := json.Marshal(def)
	if err != nil {
		return nil, nil, err
	}
	doc, problems := ours.ParseDocument(raw)
	if len(problems) > 0 {
		return nil, nil, fmt.Errorf("a document has problems: %v\n%s", problems, raw)
	}
	plain, problems := ours.Lower(doc, "production", g.live(keys))
	if len(problems) > 0 {
		return nil, nil, fmt.Errorf("a document cannot be lowered: %v\n%s", problems, raw)
	}
	var out struct{ Flags map[string]object }
	if err := json.Unmarshal(plain, &out); err != nil {
		return nil, nil, err
	}
	g.last = out.Flags
	return plain, keys, nil
}

func (g *generator) live(flags []string) ours.Live {
	l := ours.Live{Exposures: map[string]ours.Exposure{}, Choices: map[string]ours.Choices{}, Experiments: map[string]ours.Assignment{}}
	for _, key := range flags {
		if g.chance(0.3) {
			l.Exposures[key] = g.exposure()
		}
		if g.chance(0.2) {
			l.Choices[key] = ours.Choices{In: []string{g.one(keys).(string)}, Out: []string{g.one(keys).(string)}}
		}
		if g.chance(0.2) {
			l.Experiments[key] = ours.Assignment{Experiment: "x", Salt: key, Share: float64(1 + g.rng.IntN(100)), Audience: g.ruleJSON(),
				Variants: []ours.Weight{{Variant: "red", Weight: 1}, {Variant: "blue", Weight: 2}},
				Holdouts: []ours.Holdout{{Salt: "held", Percent: 20}}, Group: &ours.Slice{Salt: "group", From: 10, To: 90}}
		}
	}
	return l
}

func (g *generator) exposure() ours.Exposure {
	e := ours.Exposure{Rollout: "ramp", Salt: "standard", Rings: []fleet.Ring{{Name: "staff", Audience: g.ruleJSON()}, {Name: "early", Percent: 40}, {Name: "all"}}}
	for range e.Rings {
		v := ""
		if g.chance(0.6) {
			v = g.one(variants).(string)
		}
		e.Variants = append(e.Variants, v)
	}
	if g.chance(0.5) {
		e.Trial = &ours.Trial{Ring: g.rng.IntN(3), Variant: g.one(variants).(string), Control: float64(g.rng.IntN(91)), Salt: "ramp"}
	}
	return e
}

func (g *generator) ruleJSON() json.RawMessage {
	for {
		if r, isRule := g.truth(2, false).(object); isRule {
			raw, err := json.Marshal(r)
			if err != nil {
				panic(err) // what was made here can be written
			}
			return raw
		}
	}
}
