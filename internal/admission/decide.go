package admission

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/osv"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/sbom"
	"github.com/ringfence/ringfence/internal/supply"
)

// TestType is the predicate type of in-toto's test results.
const TestType = "https://in-toto.io/attestation/test-result/v0.1"

// Proof is a bundle and what it says.
type Proof struct {
	Bundle   string           `json:"bundle" doc:"sha256:… of it"`
	Added    time.Time        `json:"added"`
	By       string           `json:"by" doc:"who brought it"`
	Verified *supply.Verified `json:"verified,omitempty" doc:"who vouches by it; none when it verifies for no signer"`
	Why      string           `json:"why,omitempty" doc:"why it does not verify, or cannot be read"`

	Build      *supply.Build    `json:"build,omitempty" doc:"of provenance"`
	Tests      string           `json:"tests,omitempty" doc:"of a test result: PASSED, WARNED or FAILED"`
	Format     string           `json:"format,omitempty" doc:"of a list of components"`
	Count      int              `json:"count,omitempty" doc:"of a list of components: how many"`
	Components []sbom.Component `json:"-"`
}

// Read fills in what a verified statement says. What cannot be read proves nothing.
func (p *Proof) Read(digest string) {
	if p.Verified == nil || p.Verified.Statement == nil {
		return
	}
	s, err := supply.ReadStatement(p.Verified.Statement, digest)
	if err == nil {
		err = p.predicate(s)
	}
	if err != nil {
		p.Verified, p.Why = nil, err.Error()
	}
}

func (p *Proof) predicate(s supply.Statement) error {
	switch {
	case s.PredicateType == supply.ProvenanceType:
		b, err := supply.ReadBuild(s)
		p.Build = &b
		return err
	case s.PredicateType == TestType:
		var t struct {
			Result string `json:"result"`
		}
		err := json.Unmarshal(s.Predicate, &t)
		p.Tests = t.Result
		return err
	case sbom.Is(s.PredicateType):
		list, err := sbom.Read(s.Predicate)
		p.Format, p.Components, p.Count = list.Format, list.Components, len(list.Components)
		return err
	}
	return nil
}

// Case is what is known of an artifact under one Admission.
type Case struct {
	Name     string
	Spec     resource.Admission
	Service  string
	Proofs   []Proof
	Findings []osv.Finding // vulnerabilities of its components
	Database *osv.Database // nil: none was imported
}

// Decision says whether a ring may get an artifact.
type Decision struct {
	Ring     string   `json:"ring"`
	Admitted bool     `json:"admitted"`
	Missing  []string `json:"missing,omitempty" doc:"what is demanded and not proven"`
	Excepted []string `json:"excepted,omitempty" doc:"what was let through, and by whom"`
}

// Decide decides for one ring.
func (c Case) Decide(ring string, now time.Time) Decision {
	d := &deciding{Case: c, now: now, out: Decision{Ring: ring}}
	for _, demand := range c.Spec.Demands {
		if len(demand.Rings) == 0 || slices.Contains(demand.Rings, ring) {
			d.demand(demand)
		}
	}
	d.out.Admitted = len(d.out.Missing) == 0
	return d.out
}

// Join is the decision of several Admissions: all have to admit.
func Join(ring string, all []Decision) Decision {
	out := Decision{Ring: ring, Admitted: true}
	for _, d := range all {
		out.Admitted = out.Admitted && d.Admitted
		out.Missing = append(out.Missing, d.Missing...)
		out.Excepted = append(out.Excepted, d.Excepted...)
	}
	return out
}

type deciding struct {
	Case
	now time.Time
	out Decision
}

func (d *deciding) miss(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(d.out.Missing, text) {
		d.out.Missing = append(d.out.Missing, text)
	}
}

func (d *deciding) except(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(d.out.Excepted, text) {
		d.out.Excepted = append(d.out.Excepted, text)
	}
}

func (d *deciding) demand(w resource.Demand) {
	if w.Signed != nil && len(d.proofs(w.Signed.By, func(Proof) bool { return true })) == 0 {
		d.miss("nobody vouches for it: a signature or statement by %s is demanded%s", d.names(w.Signed.By), d.refused())
	}
	if w.Provenance != nil {
		d.provenance(*w.Provenance)
	}
	if w.Tests != nil {
		d.tests(*w.Tests)
	}
	for _, a := range w.Attested {
		if len(d.proofs(a.By, func(p Proof) bool { return p.Verified.Type == a.Type })) == 0 {
			d.miss("no statement of type %s by %s", a.Type, d.names(a.By))
		}
	}
	if w.Components != nil {
		d.listed(w.Components.By)
	}
	if w.Vulnerabilities != nil && d.listed(nil) {
		d.vulnerabilities(*w.Vulnerabilities)
	}
	if w.Licenses != nil && d.listed(nil) {
		d.licenses(*w.Licenses)
	}
}

// proofs are those that verified by one of some signers.
func (d *deciding) proofs(by []string, is func(Proof) bool) []Proof {
	var all []Proof
	for _, p := range d.Proofs {
		if p.Verified != nil && (len(by) == 0 || slices.Contains(by, p.Verified.Signer)) && is(p) {
			all = append(all, p)
		}
	}
	return all
}

func (d *deciding) names(by []string) string {
	if len(by) == 0 {
		for _, s := range d.Spec.Signers {
			by = append(by, s.Name)
		}
	}
	return strings.Join(by, " or ")
}

// refused says what became of bundles that did not verify: without it nobody could mend them.
func (d *deciding) refused() string {
	for _, p := range d.Proofs {
		if p.Verified == nil && p.Why != "" {
			return "; what was brought does not verify: " + p.Why
		}
	}
	return ""
}

func (d *deciding) provenance(w resource.ProvenanceDemand) {
	found := d.proofs(w.By, func(p Proof) bool { return p.Build != nil })
	if len(found) == 0 {
		d.miss("no SLSA provenance by %s%s", d.names(w.By), d.refused())
		return
	}
	var why []string
	for _, p := range found {
		_, wrong := w.Check(*p.Build, p.Verified.Signer, d.Spec.Builders)
		if len(wrong) == 0 {
			return
		}
		why = append(why, strings.Join(wrong, ", and "))
	}
	d.miss("its provenance is not as expected: %s", strings.Join(why, "; another one: "))
}

// tests go by the latest result of each signer: an earlier failure may have been mended.
func (d *deciding) tests(w resource.Vouched) {
	latest := map[string]Proof{}
	for _, p := range d.proofs(w.By, func(p Proof) bool { return p.Tests != "" }) {
		if old, there := latest[p.Verified.Signer]; !there || p.Added.After(old.Added) {
			latest[p.Verified.Signer] = p
		}
	}
	passed := false
	for signer, p := range latest {
		if p.Tests != "PASSED" {
			d.miss("its tests did not pass: %s says %.40s", signer, p.Tests)
			return
		}
		passed = true
	}
	if !passed {
		d.miss("no test result by %s", d.names(w.By))
	}
}

func (d *deciding) listed(by []string) bool {
	if len(d.proofs(by, func(p Proof) bool { return p.Format != "" })) > 0 {
		return true
	}
	d.miss("no list of components by %s", d.names(by))
	return false
}

func (d *deciding) vulnerabilities(w resource.VulnerabilityDemand) {
	bar, _ := osv.ParseSeverity(w.Below)
	switch {
	case d.Database == nil:
		d.miss("no database of vulnerabilities was imported: ringfence vulnerability database import FILE")
		return
	case w.MaxAge > 0 && d.now.Sub(d.Database.Newest) > time.Duration(w.MaxAge):
		d.miss("the newest entry of the database of vulnerabilities is of %s, older than %s: import a newer one", d.Database.Newest.Format(time.DateOnly), w.MaxAge)
	}
	for _, f := range d.Findings {
		if f.Severity < bar {
			continue
		}
		if e := d.exception(func(e resource.Exception) bool { return e.Vulnerability != "" && f.Is(e.Vulnerability) }, f.Component); e != nil {
			d.except("%s in %s: %s, until %s: %s", f.ID, f.Component, e.Owner, e.Until, e.Reason)
			continue
		}
		fix := "there is no fixed version yet"
		if len(f.Fixed) > 0 {
			fix = "fixed in " + strings.Join(f.Fixed, ", ")
		}
		d.miss("%s %s has %s (%s), %s", f.Component, f.Version, f.ID, f.Severity, fix)
	}
}

func (d *deciding) licenses(w resource.LicenseDemand) {
	for _, p := range d.proofs(nil, func(p Proof) bool { return p.Format != "" }) {
		for _, c := range p.Components {
			d.license(w, c)
		}
	}
}

func (d *deciding) license(w resource.LicenseDemand, c sbom.Component) {
	if len(c.Licenses) == 0 && len(w.Allow) > 0 {
		if e := d.exception(func(e resource.Exception) bool { return e.License == "none" }, c.Name); e == nil {
			d.miss("%s %s says no licence; except it with license: none, or have its licence listed", c.Name, c.Version)
		}
		return
	}
	for _, l := range c.Licenses {
		may := func(id string) bool {
			return !slices.ContainsFunc(w.Deny, func(s string) bool { return strings.EqualFold(s, id) }) &&
				(len(w.Allow) == 0 || slices.ContainsFunc(w.Allow, func(s string) bool { return strings.EqualFold(s, id) }))
		}
		if sbom.Suffices(l, may) {
			continue
		}
		if e := d.exception(func(e resource.Exception) bool { return strings.EqualFold(e.License, l) }, c.Name); e != nil {
			d.except("%s of %s: %s, until %s: %s", l, c.Name, e.Owner, e.Until, e.Reason)
			continue
		}
		d.miss("%s %s has the licence %s, which is not allowed", c.Name, c.Version, l)
	}
}

// exception is one that is in force.
func (d *deciding) exception(is func(resource.Exception) bool, component string) *resource.Exception {
	for _, e := range d.Spec.Exceptions {
		ends, err := e.Ends()
		if err == nil && d.now.Before(ends) && is(e) && (e.Component == "" || e.Component == component) && (len(e.Services) == 0 || slices.Contains(e.Services, d.Service)) {
			return &e
		}
	}
	return nil
}
