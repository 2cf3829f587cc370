package sbom

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

const cdx = `{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"name":"shop"}},"components":[
 {"type":"library","name":"lodash","version":"4.17.20","purl":"pkg:npm/lodash@4.17.20","licenses":[{"license":{"id":"MIT"}}],
  "components":[{"type":"library","group":"acme","name":"inner","version":"1","licenses":[{"expression":"MIT OR GPL-3.0-only"}]}]},
 {"type":"library","name":"lodash","version":"4.17.20","purl":"pkg:npm/lodash@4.17.20"}]}`

const spdx23 = `{"spdxVersion":"SPDX-2.3","packages":[
 {"name":"lodash","versionInfo":"4.17.20","licenseConcluded":"NOASSERTION","licenseDeclared":"MIT","externalRefs":[{"referenceType":"cpe23Type","referenceLocator":"cpe"},{"referenceType":"purl","referenceLocator":"pkg:npm/lodash@4.17.20"}]},
 {"name":"root","licenseConcluded":"NONE"}]}`

func TestBothFormatsAreOneList(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		want List
	}{
		"CycloneDX": {cdx, List{"CycloneDX 1.6", []Component{{"acme/inner", "1", "", []string{"MIT OR GPL-3.0-only"}}, {"lodash", "4.17.20", "pkg:npm/lodash@4.17.20", []string{"MIT"}}}}},
		"SPDX":      {spdx23, List{"SPDX 2.3", []Component{{"lodash", "4.17.20", "pkg:npm/lodash@4.17.20", []string{"MIT"}}, {"root", "", "", nil}}}},
	} {
		got, err := Read([]byte(c.raw))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestListsAreBounded(t *testing.T) {
	deep := strings.Repeat(`{"name":"x","components":[`, maxDepth+2) + strings.Repeat("]}", maxDepth+2)
	for name, raw := range map[string]string{
		"neither format": `{"bomFormat":"other"}`, "a format to come": `{"bomFormat":"CycloneDX","specVersion":"9.0"}`, "SPDX 3": `{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}`,
		"no JSON": "x", "nested": `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[` + deep + `]}`,
		"a long text": `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"` + strings.Repeat("x", maxText+1) + `"}]}`,
		"too large":   strings.Repeat(" ", MaxBytes+1),
	} {
		if _, err := Read([]byte(raw)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestLicences(t *testing.T) {
	may := func(l string) bool { return slices.Contains([]string{"MIT", "Apache-2.0", "My own"}, l) }
	for expression, ok := range map[string]bool{
		"MIT": true, "GPL-3.0-only": false, "MIT OR GPL-3.0-only": true, "MIT AND GPL-3.0-only": false, "(GPL-3.0-only OR MIT) AND Apache-2.0": true,
		"GPL-3.0-only AND MIT OR Apache-2.0": true, "Apache-2.0 WITH LLVM-exception": true, "GPL-2.0-only WITH Classpath-exception-2.0": false, "Apache-2.0+": true,
		"My own": true, "Their own": false, "": false, "MIT OR": false, "(MIT": false, "MIT MIT": false, "mit": false, "AND": false,
	} {
		if Suffices(expression, may) != ok {
			t.Errorf("%q: %t", expression, !ok)
		}
	}
}

func TestPackageURLs(t *testing.T) {
	for s, want := range map[string]Package{
		"pkg:npm/%40angular/core@12.3.1":                     {Type: "npm", Namespace: "@angular", Name: "core", Version: "12.3.1"},
		"pkg:golang/github.com/a/b/v2@v2.1.0#sub":            {Type: "golang", Namespace: "github.com/a/b", Name: "v2", Version: "v2.1.0"},
		"pkg:deb/debian/openssl@3.0.11-1?arch=a&distro=d-12": {Type: "deb", Namespace: "debian", Name: "openssl", Version: "3.0.11-1", Distro: "d-12"},
		"pkg:pypi/django":                                    {Type: "pypi", Name: "django"},
		"npm/x@1":                                            {}, "pkg:npm": {}, "pkg:npm//": {}, "pkg:npm/%zz@1": {},
	} {
		if got, ok := ParsePURL(s); got != want || ok != (want.Type != "") {
			t.Errorf("%s: %+v, %t", s, got, ok)
		}
	}
}

func FuzzCycloneDX(f *testing.F) { fuzz(f, cdx) }
func FuzzSPDX(f *testing.F)      { fuzz(f, spdx23) }

func fuzz(f *testing.F, seed string) {
	f.Add([]byte(seed))
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := Read(raw)
		if err != nil {
			return
		}
		for _, c := range l.Components {
			ParsePURL(c.PURL)
			for _, e := range c.Licenses {
				all, none := Suffices(e, func(string) bool { return true }), Suffices(e, func(string) bool { return false })
				if !all || none {
					t.Fatalf("%q: %t where all may, %t where none may", e, all, none)
				}
			}
		}
	})
}
