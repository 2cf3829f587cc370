package admission

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/osv"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/sbom"
	"github.com/ringfence/ringfence/internal/supply"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func proof(signer, predicate string, edit func(*Proof)) Proof {
	p := Proof{Bundle: "sha256:x", Added: now, Verified: &supply.Verified{Signer: signer, Type: predicate}}
	if edit != nil {
		edit(&p)
	}
	return p
}

func list(signer string, components ...sbom.Component) Proof {
	return proof(signer, "https://cyclonedx.org/bom", func(p *Proof) { p.Format, p.Components = "CycloneDX 1.6", components })
}

func tested(signer, result string, at time.Time) Proof {
	return proof(signer, TestType, func(p *Proof) { p.Tests, p.Added = result, at })
}

func TestDecisions(t *testing.T) {
	lodash := sbom.Component{Name: "lodash", Version: "4.17.20", Licenses: []string{"MIT OR GPL-3.0-only"}}
	gpl := sbom.Component{Name: "gpl", Version: "1", Licenses: []string{"GPL-3.0-only"}}
	db := &osv.Database{Newest: now.Add(-48 * time.Hour)}
	high := osv.Finding{ID: "GHSA-1", Aliases: []string{"CVE-1"}, Severity: osv.High, Component: "lodash", Version: "4.17.20", Fixed: []string{"4.17.21"}}
	unknown := osv.Finding{ID: "GO-2", Severity: osv.Unknown, Component: "x"}
	until := func(s string) resource.Exception {
		return resource.Exception{Vulnerability: "cve-1", Owner: "ann", Reason: "not called", Until: s}
	}
	below := func(s string) resource.Demand {
		return resource.Demand{Vulnerabilities: &resource.VulnerabilityDemand{Below: s}}
	}
	for name, c := range map[string]struct {
		demand     resource.Demand
		proofs     []Proof
		findings   []osv.Finding
		database   *osv.Database
		exceptions []resource.Exception
		missing    string
	}{
		"signed":                      {demand: resource.Demand{Signed: &resource.Vouched{}}, proofs: []Proof{proof("ci", "", nil)}},
		"not signed":                  {demand: resource.Demand{Signed: &resource.Vouched{}}, missing: "nobody vouches"},
		"signed by another":           {demand: resource.Demand{Signed: &resource.Vouched{By: []string{"ops"}}}, proofs: []Proof{proof("ci", "", nil)}, missing: "by ops"},
		"does not verify":             {demand: resource.Demand{Signed: &resource.Vouched{}}, proofs: []Proof{{Why: "ci: wrong key"}}, missing: "wrong key"},
		"another ring":                {demand: resource.Demand{Rings: []string{"all"}, Signed: &resource.Vouched{}}},
		"tests passed":                {demand: resource.Demand{Tests: &resource.Vouched{}}, proofs: []Proof{tested("ci", "PASSED", now)}},
		"tests warned":                {demand: resource.Demand{Tests: &resource.Vouched{}}, proofs: []Proof{tested("ci", "WARNED", now)}, missing: "WARNED"},
		"failed, then passed":         {demand: resource.Demand{Tests: &resource.Vouched{}}, proofs: []Proof{tested("ci", "PASSED", now), tested("ci", "FAILED", now.Add(-time.Hour))}},
		"passed, then failed":         {demand: resource.Demand{Tests: &resource.Vouched{}}, proofs: []Proof{tested("ci", "PASSED", now.Add(-time.Hour)), tested("ci", "FAILED", now)}, missing: "did not pass"},
		"no tests":                    {demand: resource.Demand{Tests: &resource.Vouched{}}, proofs: []Proof{proof("ci", "", nil)}, missing: "no test result"},
		"another type":                {demand: resource.Demand{Attested: []resource.AttestedDemand{{Type: "https://a.example/review"}}}, proofs: []Proof{proof("ci", "", nil)}, missing: "https://a.example/review"},
		"a type of one's own":         {demand: resource.Demand{Attested: []resource.AttestedDemand{{Type: "https://a.example/review"}}}, proofs: []Proof{proof("ci", "https://a.example/review", nil)}},
		"no list":                     {demand: resource.Demand{Components: &resource.Vouched{}}, missing: "no list"},
		"vulnerabilities, no list":    {demand: below("high"), database: db, missing: "no list"},
		"vulnerabilities, no data":    {demand: below("high"), proofs: []Proof{list("ci", lodash)}, missing: "no database"},
		"none":                        {demand: below("high"), proofs: []Proof{list("ci", lodash)}, database: db},
		"too bad":                     {demand: below("high"), proofs: []Proof{list("ci", lodash)}, database: db, findings: []osv.Finding{high}, missing: "fixed in 4.17.21"},
		"not so bad":                  {demand: below("critical"), proofs: []Proof{list("ci", lodash)}, database: db, findings: []osv.Finding{high}},
		"of unknown severity":         {demand: below("critical"), proofs: []Proof{list("ci", lodash)}, database: db, findings: []osv.Finding{unknown}, missing: "unknown"},
		"excepted by an alias":        {demand: below("high"), proofs: []Proof{list("ci", lodash)}, database: db, findings: []osv.Finding{high}, exceptions: []resource.Exception{until("2026-06-01")}},
		"the exception has ended":     {demand: below("high"), proofs: []Proof{list("ci", lodash)}, database: db, findings: []osv.Finding{high}, exceptions: []resource.Exception{until("2026-05-31")}, missing: "GHSA-1"},
		"an exception for another":    {demand: below("high"), proofs: []Proof{list("ci", lodash)}, database: db, findings: []osv.Finding{high}, exceptions: []resource.Exception{{Vulnerability: "CVE-1", Component: "zlib", Owner: "a", Reason: "b", Until: "2026-12-31"}}, missing: "GHSA-1"},
		"an exception elsewhere":      {demand: below("high"), proofs: []Proof{list("ci", lodash)}, database: db, findings: []osv.Finding{high}, exceptions: []resource.Exception{{Vulnerability: "CVE-1", Services: []string{"cart"}, Owner: "a", Reason: "b", Until: "2026-12-31"}}, missing: "GHSA-1"},
		"a database too old":          {demand: resource.Demand{Vulnerabilities: &resource.VulnerabilityDemand{Below: "high", MaxAge: fleet.Dur(24 * time.Hour)}}, proofs: []Proof{list("ci", lodash)}, database: db, missing: "older than 24h"},
		"a licence that may be":       {demand: resource.Demand{Licenses: &resource.LicenseDemand{Deny: []string{"GPL-3.0-only"}}}, proofs: []Proof{list("ci", lodash)}},
		"a licence that is denied":    {demand: resource.Demand{Licenses: &resource.LicenseDemand{Deny: []string{"GPL-3.0-only"}}}, proofs: []Proof{list("ci", gpl)}, missing: "GPL-3.0-only"},
		"a licence that is not named": {demand: resource.Demand{Licenses: &resource.LicenseDemand{Allow: []string{"MIT"}}}, proofs: []Proof{list("ci", sbom.Component{Name: "x"})}, missing: "says no licence"},
		"a licence that is excepted":  {demand: resource.Demand{Licenses: &resource.LicenseDemand{Allow: []string{"MIT"}}}, proofs: []Proof{list("ci", gpl)}, exceptions: []resource.Exception{{License: "GPL-3.0-only", Component: "gpl", Owner: "a", Reason: "b", Until: "2026-12-31"}}},
	} {
		given := Case{Name: "p", Service: "shop", Proofs: c.proofs, Findings: c.findings, Database: c.database,
			Spec: resource.Admission{Signers: []supply.Signer{{Name: "ci"}}, Demands: []resource.Demand{c.demand}, Exceptions: c.exceptions}}
		d := given.Decide("early", now)
		got := strings.Join(d.Missing, "; ")
		if d.Admitted != (c.missing == "") || !strings.Contains(got, c.missing) || d.Admitted != (len(d.Missing) == 0) {
			t.Errorf("%s: admitted %t, missing %q, expected %q", name, d.Admitted, got, c.missing)
		}
	}
}

func TestProvenanceIsHeldAgainstWhatIsExpected(t *testing.T) {
	build := &supply.Build{Builder: "b", Type: "t"}
	c := Case{Proofs: []Proof{proof("ci", supply.ProvenanceType, func(p *Proof) { p.Build = build })},
		Spec: resource.Admission{Signers: []supply.Signer{{Name: "ci"}}, Builders: []supply.Builder{{ID: "b", Signer: "ci", Level: 2}},
			Demands: []resource.Demand{{Provenance: &resource.ProvenanceDemand{Expected: supply.Expected{Level: 2}}}}}}
	if d := c.Decide("all", now); !d.Admitted {
		t.Error(d)
	}
	c.Spec.Demands[0].Provenance.Level = 3
	if d := c.Decide("all", now); d.Admitted || !strings.Contains(fmt.Sprint(d.Missing), "level 3 is demanded") {
		t.Error(d)
	}
	c.Proofs = nil
	if d := c.Decide("all", now); d.Admitted || !strings.Contains(fmt.Sprint(d.Missing), "no SLSA provenance") {
		t.Error(d)
	}
}

func TestAllHaveToAdmit(t *testing.T) {
	if d := Join("all", []Decision{{Admitted: true}, {Missing: []string{"x"}}}); d.Admitted || len(d.Missing) != 1 {
		t.Error(d)
	}
	if d := Join("all", nil); !d.Admitted {
		t.Error("nothing is demanded:", d)
	}
}
