package resource

import (
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/supply"
)

// KindAdmission are the demands on what may ship.
const KindAdmission = "Admission"

// Admission says what has to be proven of a release before a ring gets it. All that are meant for a service count.
type Admission struct {
	Services   []string         `json:"services,omitempty" maxItems:"1000" doc:"for releases of these services; default all"`
	Signers    []supply.Signer  `json:"signers,omitempty" maxItems:"50" doc:"who may vouch for artifacts"`
	Builders   []supply.Builder `json:"builders,omitempty" maxItems:"50" doc:"builders that are known, and the level they are trusted with"`
	Demands    []Demand         `json:"demands" minItems:"1" maxItems:"50" doc:"what has to be proven, in which rings"`
	Exceptions []Exception      `json:"exceptions,omitempty" maxItems:"500" doc:"what is let through for a while"`
}

// Demand is what has to be proven before some rings. Everything that it names has to be.
type Demand struct {
	Rings           []string             `json:"rings,omitempty" maxItems:"20" doc:"before these rings; default before every one"`
	Signed          *Vouched             `json:"signed,omitempty" doc:"somebody vouches for the artifact, by a signature or any statement"`
	Provenance      *ProvenanceDemand    `json:"provenance,omitempty" doc:"how it was built, by SLSA provenance"`
	Components      *Vouched             `json:"components,omitempty" doc:"a list of what it is made of: CycloneDX or SPDX"`
	Vulnerabilities *VulnerabilityDemand `json:"vulnerabilities,omitempty" doc:"none of its components has one that is known and too bad; wants a list of components"`
	Licenses        *LicenseDemand       `json:"licenses,omitempty" doc:"licences of its components; wants a list of components"`
	Tests           *Vouched             `json:"tests,omitempty" doc:"its tests passed, by in-toto's test result"`
	Attested        []AttestedDemand     `json:"attested,omitempty" maxItems:"20" doc:"statements of types of your own"`
}

// Vouched says whose word is wanted.
type Vouched struct {
	By []string `json:"by,omitempty" maxItems:"50" doc:"one of these signers; default any of the signers"`
}

// ProvenanceDemand is what has to be so of a build.
type ProvenanceDemand struct {
	By []string `json:"by,omitempty" maxItems:"50" doc:"said by one of these signers; default any of the signers"`
	supply.Expected
}

// VulnerabilityDemand bounds how bad known vulnerabilities may be.
type VulnerabilityDemand struct {
	Below  string    `json:"below" enum:"low,medium,high,critical" doc:"every one is less severe than this; one of unknown severity is not"`
	MaxAge fleet.Dur `json:"maxAge,omitempty" doc:"the newest entry of the database of vulnerabilities is no older; default any age"`
}

// LicenseDemand says which licences components may have, by SPDX identifiers.
type LicenseDemand struct {
	Allow []string `json:"allow,omitempty" maxItems:"500" doc:"only these; a component without a licence is then refused"`
	Deny  []string `json:"deny,omitempty" maxItems:"500" doc:"none of these"`
}

// AttestedDemand wants a statement of some type.
type AttestedDemand struct {
	Type string   `json:"type" maxLength:"2000" doc:"predicate type, a URI"`
	By   []string `json:"by,omitempty" maxItems:"50" doc:"said by one of these signers; default any of the signers"`
}

// Exception lets a vulnerability or a licence through for a while.
type Exception struct {
	Vulnerability string   `json:"vulnerability,omitempty" maxLength:"200" doc:"its identifier, such as CVE-2026-1234, or any of its aliases"`
	License       string   `json:"license,omitempty" maxLength:"200" doc:"a licence that a component may have though it is not allowed; with component"`
	Component     string   `json:"component,omitempty" maxLength:"500" doc:"only in the component of this name; default in any"`
	Services      []string `json:"services,omitempty" maxItems:"1000" doc:"only in these services; default in all"`
	Owner         string   `json:"owner" maxLength:"200" doc:"who answers for it"`
	Reason        string   `json:"reason" maxLength:"1000" doc:"why it is no harm, or cannot be helped yet"`
	Until         string   `json:"until" maxLength:"40" doc:"day on which it ends, such as 2026-12-31, in UTC"`
}

func (p *problems) admission(a *Admission) {
	p.names(a.Services, "spec.services")
	names := make([]string, len(a.Signers))
	for i, s := range a.Signers {
		at := item("spec.signers", i)
		p.name(s.Name, at+".name")
		p.need(!slices.Contains(names[:i], s.Name), at+".name", "a name of its own", "%q stands twice", clip(s.Name))
		names[i] = s.Name
		if err := s.Check(); err != nil {
			p.add(at, "a key, or an identity with its issuer", "%s", clip(err.Error()))
		}
	}
	for i, b := range a.Builders {
		p.need(slices.Contains(names, b.Signer), item("spec.builders", i)+".signer", "one of the signers", "there is no signer %q", clip(b.Signer))
	}
	for i, d := range a.Demands {
		p.demand(d, names, item("spec.demands", i))
	}
	for i, e := range a.Exceptions {
		p.exception(e, item("spec.exceptions", i))
	}
}

func (p *problems) demand(d Demand, signers []string, at string) {
	p.names(d.Rings, at+".rings")
	something := d.Vulnerabilities != nil || d.Licenses != nil
	for _, v := range []struct {
		name string
		by   *Vouched
	}{{"signed", d.Signed}, {"components", d.Components}, {"tests", d.Tests}} {
		if v.by != nil {
			something = true
			p.signers(v.by.By, signers, at+"."+v.name+".by")
		}
	}
	if d.Provenance != nil {
		something = true
		p.signers(d.Provenance.By, signers, at+".provenance.by")
	}
	for i, a := range d.Attested {
		something = true
		p.need(strings.Contains(a.Type, ":"), item(at+".attested", i)+".type", "a URI", "got %q", clip(a.Type))
		p.signers(a.By, signers, item(at+".attested", i)+".by")
	}
	p.need(something, at, "something that has to be proven, such as signed: {}", "demands nothing")
	p.need(!something || len(signers) > 0, at, "signers under spec.signers", "there is nobody who could vouch for anything")
	if l := d.Licenses; l != nil {
		p.need(len(l.Allow)+len(l.Deny) > 0, at+".licenses", "allow or deny", "says nothing")
	}
}

// signers are names of signers. A misspelt one would never vouch, an empty list would let any do.
func (p *problems) signers(by, known []string, at string) {
	for i, name := range by {
		p.need(slices.Contains(known, name), item(at, i), "one of the signers: "+strings.Join(known, ", "), "there is no signer %q", clip(name))
	}
	p.need(by == nil || len(by) > 0, at, "at least one signer", "is empty")
}

func (p *problems) exception(e Exception, at string) {
	p.need((e.Vulnerability == "") != (e.License == ""), at, "either a vulnerability or a license", "has both or neither")
	p.need(e.License == "" || e.Component != "", at+".component", "the component that has the licence", "is missing")
	p.need(strings.TrimSpace(e.Owner) != "", at+".owner", "who answers for it", "is empty")
	p.need(strings.TrimSpace(e.Reason) != "", at+".reason", "why", "is empty")
	p.names(e.Services, at+".services")
	_, err := e.Ends()
	p.need(err == nil, at+".until", "a day such as 2026-12-31", "got %q", clip(e.Until))
}

// Ends is when an exception ends: with its day.
func (e Exception) Ends() (time.Time, error) {
	t, err := time.Parse(time.DateOnly, e.Until)
	return t.AddDate(0, 0, 1), err
}
