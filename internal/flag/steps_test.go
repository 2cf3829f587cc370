package flag_test

import (
	"fmt"
	"testing"

	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
)

// What is said of an experiment is what its assignment gives the user.
func TestStepsOfAnExperiment(t *testing.T) {
	doc, problems := flag.ParseDocument([]byte(`{"flags":{"button":{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off"}}}`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	a := flag.Assignment{Experiment: "shorter", Salt: "shorter/1", Share: 60, Variants: []flag.Weight{{Variant: "off", Weight: 1}, {Variant: "on", Weight: 1}}}
	live := flag.Live{Experiments: map[string]flag.Assignment{"button": a}}
	said := map[string]int{}
	for i := range 2000 {
		user := &exposure.Context{TargetingKey: fmt.Sprint(i)}
		steps := doc.Flags["button"].Steps(flag.Production, doc.Bucketing, live, user)
		who, err := a.Compile("button", doc.Bucketing)
		if err != nil {
			t.Fatal(err)
		}
		want := flag.Step{Name: "experiment", Says: "the user takes no part in experiment shorter"}
		if variant, in := who.Of(user); in {
			want = flag.Step{Name: "experiment", Says: "the user takes part in experiment shorter: variant " + variant, Decides: true}
		}
		if steps[0] != want || len(steps) != map[bool]int{true: 1, false: 2}[want.Decides] || !steps[len(steps)-1].Decides {
			t.Fatalf("user %d: %+v, expected %+v", i, steps, want)
		}
		said[want.Says]++
	}
	if len(said) != 3 {
		t.Errorf("only %v was said", said)
	}
}
