package flag

import (
	"fmt"

	"github.com/ringfence/ringfence/internal/resource"
)

// Of reads the document in a FlagSet. The set's id is its name.
func Of(r resource.Resource) (*Document, []resource.Problem) {
	set, err := resource.As[resource.FlagSet](r)
	if err != nil {
		return nil, []resource.Problem{{Kind: r.Kind, Name: r.Metadata.Name, Msg: err.Error()}}
	}
	doc, problems := ParseDocument(set.RawMessage)
	if doc != nil {
		switch doc.ID {
		case "":
			doc.ID = r.Metadata.Name
			doc.Metadata[flagSetID] = doc.ID
		case r.Metadata.Name:
		default:
			problems = append(problems, resource.Problem{Path: "metadata.flagSetId", Expected: r.Metadata.Name + ", or nothing", Msg: fmt.Sprintf("%.80q is not the name of the set", doc.ID)})
		}
		problems = append(problems, doc.rampable()...)
	}
	for i := range problems {
		p := &problems[i]
		p.Kind, p.Name = r.Kind, r.Metadata.Name
		if p.Path == "" {
			p.Path = "spec"
		} else {
			p.Path = "spec." + p.Path
		}
	}
	return doc, problems
}

// rampable tells of exposures that cannot be rolled out.
func (d *Document) rampable() (problems []resource.Problem) {
	check := func(f *Definition, p *Plan, path string) {
		if p == nil {
			return
		}
		if why := f.Rampable(p.Variant); why != "" {
			problems = append(problems, resource.Problem{Path: path, Msg: "the flag cannot be exposed by rings", Expected: why})
		}
	}
	for _, key := range d.Keys() {
		f, at := d.Flags[key], resource.Field("flags", key)
		check(f, f.Exposure, at+".exposure")
		for env, o := range f.Environments {
			check(f, o.Exposure, resource.Field(at+".environments", env)+".exposure")
		}
	}
	return problems
}
