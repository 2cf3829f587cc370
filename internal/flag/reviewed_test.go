package flag

import (
	"slices"
	"testing"
)

// A change of the bucketing gives users other variants, though no rule is another one.
func TestABucketingIsReviewed(t *testing.T) {
	set := func(more string) *Document {
		return documented(t, `{"environments":["production"],"reviewers":{"production":{"need":"any"}},`+more+`
			"flags":{"a":{"state":"ENABLED","variants":{"x":1,"y":2},"defaultVariant":"x","targeting":{"fractional":[["x",50],["y",50]]}}}}`)
	}
	if got := Reviewed(set(""), set(`"bucketing":"v3","rebucket":"better",`)); !slices.Equal(got, []string{"production"}) {
		t.Errorf("reviewed in %v", got)
	}
	if got := Reviewed(set(""), set("")); len(got) != 0 {
		t.Errorf("of what has not changed: %v", got)
	}
}
