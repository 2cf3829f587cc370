package catalog

import (
	"fmt"
	"strings"

	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
)

// compares tells, of what is set from stay on, which experiments compare what their flags do not have. A problem's Index is the
// position in whole.
func compares(whole []resource.Resource, stay int) []resource.Problem {
	sets := map[string]int{}
	for i, r := range whole {
		if r.Kind == resource.KindFlagSet {
			sets[r.Metadata.Name] = i
		}
	}
	docs := map[string]*flag.Document{}
	var problems []resource.Problem
	for i, r := range whole {
		if r.Kind != resource.KindExperiment {
			continue
		}
		e, err := resource.As[resource.Experiment](r)
		at, there := sets[e.Set()]
		if err != nil || !there || i < stay && at < stay {
			continue
		}
		if docs[e.Set()] == nil {
			docs[e.Set()], _ = flag.Of(whole[at])
		}
		if p := fits(e, docs[e.Set()]); p.Path != "" {
			p.Index, p.Kind, p.Name = i, r.Kind, r.Metadata.Name
			problems = append(problems, p)
		}
	}
	return problems
}

// fits tells what an experiment names that its flag's set does not have.
func fits(e resource.Experiment, doc *flag.Document) resource.Problem {
	if doc == nil { // it was judged on its own
		return resource.Problem{}
	}
	f := doc.Flags[e.Key()]
	switch {
	case f == nil:
		return resource.Problem{Path: "spec.flag", Msg: fmt.Sprintf("there is no flag %.200q in set %s", e.Key(), e.Set()), Expected: "a flag of the set"}
	case !doc.HasEnvironment(e.Environment):
		return resource.Problem{Path: "spec.environment", Msg: fmt.Sprintf("set %s has no environment %.200q", e.Set(), e.Environment), Expected: "one of " + strings.Join(doc.Environments, ", ")}
	}
	for i, a := range e.Variants {
		if _, ok := f.Value(a.Variant); !ok {
			return resource.Problem{Path: fmt.Sprintf("spec.variants[%d].variant", i), Msg: fmt.Sprintf("flag %s has no variant %.200q", e.Flag, a.Variant), Expected: "one of " + strings.Join(f.Variants(), ", ")}
		}
	}
	return resource.Problem{}
}
