package osv

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/sbom"
)

func TestOrders(t *testing.T) {
	for name, c := range map[string]struct {
		compare func(a, b string) (int, bool)
		up      []string // each below the next
	}{
		"semver": {compareSemver, []string{"0.0.0-0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "v1.2", "1.10.0+build", "2.0.0"}},
		"python": {comparePEP440, []string{"1.dev0", "1.0.dev456", "1.0a1", "1.0a2.dev456", "1.0a12.dev456", "1.0a12", "1.0b1.dev456", "1.0b2", "1.0b2.post345.dev456", "1.0b2.post345", "1.0rc1.dev456", "1.0rc1", "1.0", "1.0.post456.dev34", "1.0.post456", "1.1.dev1", "1!0.1"}},
		"debian": {compareDebian, []string{"1.0~rc1-1", "1.0-1~bpo1", "1.0-1", "1.0-1+b1", "1.0-2", "1.0a-1", "1.0.1-1", "1.10-1", "1:0.1-1"}},
	} {
		for i, a := range c.up {
			for j, b := range c.up {
				got, ok := c.compare(a, b)
				want := 0
				if i < j {
					want = -1
				} else if i > j {
					want = 1
				}
				if !ok || got != want {
					t.Errorf("%s: %s and %s: %d, %t", name, a, b, got, ok)
				}
			}
		}
	}
	for _, s := range []string{"", "x", "1.2.3.4.5-", "1..2"} {
		if _, ok := compareSemver(s, "1.0.0"); ok {
			t.Errorf("%q is no semantic version", s)
		}
	}
}

func TestOrderIsTotal(t *testing.T) {
	version := rapid.StringMatching(`[0-9]{1,2}(\.[0-9]{1,2}){0,2}(-[a-z0-9]{1,3}(\.[a-z0-9]{1,3})?)?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := version.Draw(t, "a"), version.Draw(t, "b"), version.Draw(t, "c")
		for _, compare := range []func(a, b string) (int, bool){compareSemver, compareDebian} {
			ab, ok1 := compare(a, b)
			ba, _ := compare(b, a)
			bc, ok2 := compare(b, c)
			ac, _ := compare(a, c)
			if !ok1 || !ok2 {
				continue
			}
			if ab != -ba || ab <= 0 && bc <= 0 && ac > 0 {
				t.Fatalf("%s %s %s: %d %d %d %d", a, b, c, ab, ba, bc, ac)
			}
		}
	})
}

func TestRanges(t *testing.T) {
	semver := func(events ...Event) Affected {
		return Affected{Ecosystem: "npm", Name: "x", Ranges: []Range{{"SEMVER", events}}}
	}
	for name, c := range map[string]struct {
		a              Affected
		version        string
		affected, sure bool
	}{
		"within":                     {semver(Event{Introduced: "1.0.0"}, Event{Fixed: "1.2.0"}), "1.1.9", true, true},
		"at its beginning":           {semver(Event{Introduced: "1.0.0"}, Event{Fixed: "1.2.0"}), "1.0.0", true, true},
		"fixed":                      {semver(Event{Introduced: "0"}, Event{Fixed: "1.2.0"}), "1.2.0", false, true},
		"before the fix":             {semver(Event{Introduced: "0"}, Event{Fixed: "1.2.0"}), "1.2.0-rc1", true, true},
		"before":                     {semver(Event{Introduced: "1.0.0"}), "0.9.0", false, true},
		"last affected":              {semver(Event{Introduced: "0"}, Event{LastAffected: "1.2.0"}), "1.2.0", true, true},
		"after the last":             {semver(Event{Introduced: "0"}, Event{LastAffected: "1.2.0"}), "1.2.1", false, true},
		"came back":                  {semver(Event{Introduced: "0"}, Event{Fixed: "1.2.0"}, Event{Introduced: "2.0.0"}, Event{Fixed: "2.1.0"}), "2.0.5", true, true},
		"between":                    {semver(Event{Introduced: "0"}, Event{Fixed: "1.2.0"}, Event{Introduced: "2.0.0"}, Event{Fixed: "2.1.0"}), "1.9.0", false, true},
		"in any order":               {semver(Event{Fixed: "1.2.0"}, Event{Introduced: "0"}), "1.1.0", true, true},
		"beyond the limit":           {semver(Event{Introduced: "0"}, Event{Limit: "1.0.0"}), "1.0.0", false, true},
		"no version":                 {semver(Event{Introduced: "0"}, Event{Fixed: "1.2.0"}), "main", true, false},
		"listed":                     {Affected{Ecosystem: "Maven", Name: "x", Versions: []string{"1.0"}, Ranges: []Range{{"ECOSYSTEM", []Event{{Introduced: "0"}}}}}, "1.0", true, true},
		"not listed":                 {Affected{Ecosystem: "Maven", Name: "x", Versions: []string{"1.0"}, Ranges: []Range{{"ECOSYSTEM", []Event{{Introduced: "0"}}}}}, "1.1", false, true},
		"ranges of an unknown order": {Affected{Ecosystem: "Maven", Name: "x", Ranges: []Range{{"ECOSYSTEM", []Event{{Introduced: "0"}, {Fixed: "1"}}}}}, "1.1", true, false},
		"python":                     {Affected{Ecosystem: "PyPI", Name: "x", Ranges: []Range{{"ECOSYSTEM", []Event{{Introduced: "0"}, {Fixed: "2.0"}}}}}, "2.0rc1", true, true},
		"debian's release":           {Affected{Ecosystem: "Debian:12", Name: "x", Ranges: []Range{{"ECOSYSTEM", []Event{{Introduced: "0"}, {Fixed: "3.0.11-1~deb12u2"}}}}}, "3.0.11-1~deb12u1", true, true},
	} {
		if affected, sure := c.a.Has(c.version); affected != c.affected || sure != c.sure {
			t.Errorf("%s: %t, sure %t", name, affected, sure)
		}
	}
}

func TestScores(t *testing.T) {
	for vector, want := range map[string]float64{
		"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H": 9.8, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H": 10, "CVSS:3.0/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N": 3.1,
		"CVSS:3.1/AV:N/AC:L/PR:L/UI:R/S:C/C:L/I:L/A:N": 5.4, "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:N/A:N": 5.5, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N": 0,
		"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H/E:P": 7.5,
	} {
		if got, ok := CVSS3(vector); !ok || math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %v, %t, expected %v", vector, got, ok, want)
		}
	}
	for _, bad := range []string{"", "CVSS:4.0/AV:N", "CVSS:3.1/AV:N", "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"} {
		if _, ok := CVSS3(bad); ok {
			t.Errorf("%q has a score", bad)
		}
	}
}

const entry = `{"id":"GHSA-1","aliases":["CVE-2020-1"],"summary":"bad","modified":"2026-01-02T03:04:05Z","database_specific":{"severity":"MODERATE"},
 "affected":[{"package":{"ecosystem":"npm","name":"lodash"},"ranges":[{"type":"GIT","events":[{"introduced":"0"}]},{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"4.17.21"}]}]}]}`

func TestEntries(t *testing.T) {
	e, err := Read([]byte(entry))
	if err != nil || e.ID != "GHSA-1" || e.Severity != Medium || len(e.Affected) != 1 || len(e.Affected[0].Ranges) != 1 {
		t.Fatalf("%+v, %v", e, err)
	}
	if e, err := Read([]byte(`{"id":"X","withdrawn":"2026-01-01T00:00:00Z","affected":[{"package":{"name":"a","ecosystem":"npm"}}]}`)); e != nil || err != nil {
		t.Errorf("withdrawn: %+v, %v", e, err)
	}
	if e, err := Read([]byte(`{"id":"X","affected":[{"package":{"name":"a","ecosystem":"npm"}}]}`)); err != nil || e.Severity != Unknown {
		t.Errorf("without severity: %+v, %v", e, err)
	}
	for _, bad := range []string{"", "{}", `{"id":1}`, "[]"} {
		if _, err := Read([]byte(bad)); err == nil {
			t.Errorf("%q: accepted", bad)
		}
	}
}

func TestNames(t *testing.T) {
	for purl, want := range map[string]Named{
		"pkg:golang/golang.org/x/net@v0.1.0": {"Go", "golang.org/x/net", "v0.1.0"},
		"pkg:npm/%40angular/core@1.0.0":      {"npm", "@angular/core", "1.0.0"},
		"pkg:maven/org.apache/log4j@2.14":    {"Maven", "org.apache:log4j", "2.14"},
		"pkg:pypi/Django_Rest@1":             {"PyPI", "django-rest", "1"},
		"pkg:deb/ubuntu/bash@5":              {"Ubuntu", "bash", "5"},
		"pkg:generic/x@1":                    {"", "x", "1"},
	} {
		got, ok := NameOf(sbom.Component{PURL: purl})
		if got != want || ok != (want.Ecosystem != "") {
			t.Errorf("%s: %+v, %t", purl, got, ok)
		}
	}
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte(entry), "1.0.0")
	f.Fuzz(func(t *testing.T, raw []byte, version string) {
		e, err := Read(raw)
		if err != nil || e == nil {
			return
		}
		for _, a := range e.Affected {
			a.Has(version)
			a.FixedIn(version)
		}
	})
}
