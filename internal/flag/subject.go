package flag

import (
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

// Production is the environment that is meant when none is named.
const Production = "production"

// Unit is the place in which exposures of flags are in force: wherever flags are served.
const Unit = "@flags"

// Mark is what programs that serve an environment's flags elsewhere report besides the exposures in force there.
func Mark(env string) string { return Unit + "/" + env }

// Subject names the exposure of a flag in an environment where services are named: what is rolled out is a variant of it.
type Subject struct{ Set, Key, Environment string }

// colon stands for one in a key or an environment, so that no two subjects have the same name.
const colon = "%3A"

// String is flag:set:key, with :environment where that is not production.
func (s Subject) String() string {
	name := "flag:" + s.Set + ":" + strings.ReplaceAll(s.Key, ":", colon)
	if s.Environment != "" && s.Environment != Production {
		name += ":" + strings.ReplaceAll(s.Environment, ":", colon)
	}
	return name
}

// IsSubject reports whether a name is that of a flag's exposure, not of a service.
func IsSubject(name string) bool { return strings.HasPrefix(name, "flag:") }

// ParseSubject reads a name as String writes it, and set/key or set/key/environment as people do.
func ParseSubject(name string) (Subject, error) {
	parts := strings.Split(strings.TrimPrefix(name, "flag:"), ":")
	if !IsSubject(name) {
		parts = strings.Split(name, "/")
	}
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return Subject{}, errs.E(errs.Invalid, "flag %.80q: expected set/key, or set/key/environment", name)
	}
	s := Subject{parts[0], parts[1], Production}
	if len(parts) == 3 {
		s.Environment = parts[2]
	}
	if IsSubject(name) {
		s.Key, s.Environment = strings.ReplaceAll(s.Key, colon, ":"), strings.ReplaceAll(s.Environment, colon, ":")
	}
	return s, nil
}

// Baseline is what everyone has in an environment before a flag's exposure begins: the name of the default variant, standing for
// whatever the flag's own rule says.
func (f *Definition) Baseline(env string) string {
	if name := f.DefaultIn(env); name != "" {
		return name
	}
	return "code-default"
}

// Rampable says why the flag's variants cannot be rolled out, "" when they can: they are named where services and versions are.
func (f *Definition) Rampable(variant string) string {
	switch {
	case strings.ContainsAny(f.Key, ":/ ") || len(f.Key) > 128:
		return "its key must have at most 128 characters and no colon, slash or space"
	case !resource.ValidVersion(variant):
		return "the variant's name must be of letters, digits and . _ + -, at most 63"
	}
	return ""
}

// ExposureOf is the exposure that a unit's desired state asks for. What is the baseline is left to the flag's definition: as it was
// named when the exposure began, should the default variant be another one since.
func ExposureOf(d fleet.Service, baseline string) Exposure {
	if d.Ramp != nil && d.Ramp.Base != "" {
		baseline = d.Ramp.Base
	}
	e := Exposure{Rollout: "", Salt: d.Salt, Rings: d.Rings, Variants: make([]string, len(d.Exposure))}
	for i, v := range d.Exposure {
		if v != baseline {
			e.Variants[i] = v
		}
	}
	r := d.Ramp
	if r == nil || r.Ring < 0 {
		return e
	}
	e.Rollout = r.Rollout
	e.Trial = &Trial{Ring: r.Ring, Variant: r.To, Control: r.Control, Salt: r.Salt}
	if e.Variants[r.Ring] = r.From; r.From == baseline {
		e.Variants[r.Ring] = ""
	}
	return e
}
