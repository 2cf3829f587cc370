package resource

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// RuleCheck says what is wrong with a targeting rule; package exposure, which builds on this one, has it.
type RuleCheck func(rule json.RawMessage) error

// Decode reads one resource from JSON, strictly: unknown fields, wrong types, values out of range and specs that make no
// sense are problems. Without problems, the answer is canonical: fields in the order of the types, durations and
// rules written in one way, so that equal resources are equal bytes.
func Decode(raw []byte, rule RuleCheck) (Resource, []Problem) {
	var p problems
	r := p.decode(raw, rule)
	for i := range p.list {
		p.list[i].Kind, p.list[i].Name = r.Kind, r.Metadata.Name
	}
	return r, p.list
}

// Validate is Decode for a resource that was read by other means.
func Validate(r Resource, rule RuleCheck) (Resource, []Problem) {
	if len(r.Spec) == 0 {
		r.Spec = json.RawMessage("{}")
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return r, []Problem{{Kind: r.Kind, Name: r.Metadata.Name, Path: "spec", Msg: "is not JSON", Expected: "fields"}}
	}
	return Decode(raw, rule)
}

func (p *problems) decode(raw []byte, rule RuleCheck) Resource {
	var r Resource
	tree, err := parse(raw)
	if err != nil {
		p.add("", "a resource in JSON", "%s", clip(err.Error()))
		return r
	}
	obj, ok := tree.(map[string]any)
	if !ok {
		p.add("", "a resource with apiVersion, kind, metadata and spec", "got %s", describe(tree))
		return r
	}
	r.Kind, _ = obj["kind"].(string)
	if meta, ok := obj["metadata"].(map[string]any); ok {
		r.Metadata.Name, _ = meta["name"].(string)
		r.Metadata.Name = clip(r.Metadata.Name)
	}
	p.object(tree, envelope, "")
	shape := specs[r.Kind]
	if shape == nil {
		r.Kind = ""
		return r // the spec of an unknown kind cannot be judged
	}
	if spec, ok := obj["spec"]; ok {
		p.conform(spec, shape, Member{}, "spec")
	}
	if len(p.list) > 0 {
		return r
	}
	full, err := p.typed(tree, rule)
	if err != nil {
		p.add("", "a resource", "%s", clip(err.Error()))
		return r
	}
	return full
}

// typed goes through the Go types and back, which gives the canonical form, and judges the spec on the way.
func (p *problems) typed(tree any, rule RuleCheck) (Resource, error) {
	raw, err := json.Marshal(tree) // sorted keys, also within rules
	if err != nil {
		return Resource{}, err
	}
	var r Resource
	if err := json.Unmarshal(raw, &r); err != nil {
		return Resource{}, err
	}
	p.metadata(r)
	switch r.Kind {
	case KindService:
		return canon(r, func(s *Service) { p.service(s) })
	case KindSegment:
		return canon(r, func(s *Segment) { p.segment(s, rule) })
	case KindRingPlan:
		return canon(r, func(s *RingPlan) { p.plan(s, rule) })
	case KindGroup:
		return canon(r, func(s *Group) { p.group(s) })
	case KindFreeze:
		return canon(r, func(s *Freeze) { p.freeze(s) })
	case KindNotifier:
		return canon(r, func(s *Notifier) { p.notifier(s) })
	case KindFlagSet:
		return r, nil // package flag judges it; sorted keys are canonical
	case KindRotation:
		return canon(r, func(s *Rotation) { p.rotation(s) })
	case KindDataSource, KindAlertTarget, KindAlertCondition, KindAlertPolicy, KindSLI, KindSLOService, KindSLO:
		return p.canonSLO(r)
	case KindBudgetPolicy:
		return canon(r, func(s *BudgetPolicy) { p.budgetPolicy(s) })
	case KindAccessPolicy:
		return canon(r, func(*AccessPolicy) {}) // who compiles its rules judges them
	case KindAccessRules:
		return canon(r, func(s *AccessRules) { p.accessRules(s, r.Metadata.Name) })
	case KindAdmission:
		return canon(r, func(s *Admission) { p.admission(s) })
	case KindExperiment:
		return canon(r, func(s *Experiment) { p.experiment(s, rule) })
	case KindProbe:
		return canon(r, func(s *Probe) { p.monitor(s) })
	case KindAlertRules:
		return canon(r, func(s *AlertRules) { p.alertRules(s) })
	case KindAlertRouting:
		return canon(r, func(s *AlertRouting) { p.alertRouting(s) })
	case KindScrape:
		return canon(r, func(s *Scrape) { p.scrape(s, r.Metadata.Name) })
	case KindIdentity:
		return canon(r, func(s *IdentityProvider) { p.identityProvider(s) })
	case KindDatabase:
		return canon(r, func(s *Database) { p.database(s) })
	case KindConfig:
		return canon(r, func(s *Config) { p.config(s, r.Metadata.Name) })
	default:
		return canon(r, func(s *Release) { p.release(s, r.Metadata.Name) })
	}
}

func canon[T any](r Resource, check func(*T)) (Resource, error) {
	var spec T
	if err := json.Unmarshal(r.Spec, &spec); err != nil {
		return r, err
	}
	check(&spec)
	var err error
	r.Spec, err = json.Marshal(spec)
	return r, err
}

// Spec is the type of some kind's spec.
type Spec interface {
	Service | Segment | RingPlan | Release | Config | Freeze | Group | Notifier | Scrape | FlagSet | Experiment | Probe | Rotation | AlertRules | AlertRouting | BudgetPolicy | Database | AccessPolicy | AccessRules | IdentityProvider | Admission
}

// As returns the spec of a resource that Decode found right, as it stands there, without defaults.
func As[T Spec](r Resource) (T, error) {
	var spec T
	if want := kindOf(spec); r.Kind != want {
		return spec, errs.E(errs.Invalid, "%s is a %s, expected a %s", r.Metadata.Name, r.Kind, want)
	}
	if err := json.Unmarshal(r.Spec, &spec); err != nil {
		return spec, errs.Wrap(errs.Internal, err, "%s is damaged", r.Key())
	}
	return spec, nil
}

// New makes a resource of a spec.
func New[T Spec](name string, spec T) (Resource, error) {
	raw, err := json.Marshal(spec)
	if err != nil {
		return Resource{}, errs.Wrap(errs.Invalid, err, "%s", name)
	}
	return Resource{APIVersion: APIVersion, Kind: kindOf(spec), Metadata: Metadata{Name: name}, Spec: raw}, nil
}

func kindOf(spec any) string {
	switch spec.(type) {
	case Service:
		return KindService
	case Segment:
		return KindSegment
	case RingPlan:
		return KindRingPlan
	case Config:
		return KindConfig
	case Freeze:
		return KindFreeze
	case Group:
		return KindGroup
	case Scrape:
		return KindScrape
	case IdentityProvider:
		return KindIdentity
	case Database:
		return KindDatabase
	case Notifier:
		return KindNotifier
	case FlagSet:
		return KindFlagSet
	case Rotation:
		return KindRotation
	case Experiment:
		return KindExperiment
	case Probe:
		return KindProbe
	case AlertRules:
		return KindAlertRules
	case AlertRouting:
		return KindAlertRouting
	case BudgetPolicy:
		return KindBudgetPolicy
	case AccessPolicy:
		return KindAccessPolicy
	case AccessRules:
		return KindAccessRules
	case Admission:
		return KindAdmission
	}
	return KindRelease
}

// KindNamed finds a kind by any usual spelling: service, services, RingPlan, ring-plans, plan.
func KindNamed(word string) (string, error) {
	w := strings.TrimSuffix(strings.ReplaceAll(strings.ToLower(word), "-", ""), "s")
	switch w {
	case "plan":
		w = "ringplan"
	case "alertpolicie":
		w = "alertpolicy"
	case "accesspolicie":
		w = "accesspolicy"
	case "budgetpolicie":
		w = "budgetpolicy"
	}
	i := slices.IndexFunc(Kinds, func(k string) bool { return strings.TrimSuffix(strings.ToLower(k), "s") == w })
	if i < 0 {
		return "", errs.E(errs.Invalid, "unknown kind %q, expected one of %s", clip(word), strings.Join(Kinds, ", "))
	}
	return Kinds[i], nil
}
