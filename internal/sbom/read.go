package sbom

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// The limits of a list.
const (
	MaxBytes      = 32 << 20
	MaxComponents = 100_000
	maxDepth      = 64
	maxText       = 2000
)

// Component is one thing that an artifact is made of.
type Component struct {
	Name     string   `json:"name"`
	Version  string   `json:"version,omitempty"`
	PURL     string   `json:"purl,omitempty" doc:"package URL"`
	Licenses []string `json:"licenses,omitempty" doc:"SPDX expressions, or names where there is none; all of them hold"`
}

// List is what an artifact is made of.
type List struct {
	Format     string      `json:"format" doc:"CycloneDX or SPDX, with its version"`
	Components []Component `json:"components"`
}

// Is says whether a predicate type is that of a list.
func Is(predicateType string) bool {
	for _, base := range []string{"https://cyclonedx.org/bom", "https://spdx.dev/Document"} {
		if predicateType == base || strings.HasPrefix(predicateType, base+"/") {
			return true
		}
	}
	return false
}

// Read reads a list in either format.
func Read(raw []byte) (List, error) {
	if len(raw) > MaxBytes {
		return List{}, errs.E(errs.Invalid, "the list of components has more than %d MiB", MaxBytes>>20)
	}
	var head struct {
		BOMFormat   string `json:"bomFormat"`
		SpecVersion string `json:"specVersion"`
		SPDXVersion string `json:"spdxVersion"`
		Context     any    `json:"@context"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return List{}, errs.E(errs.Invalid, "expected a list of components, CycloneDX or SPDX in JSON: %v", err)
	}
	switch {
	case head.BOMFormat == "CycloneDX" && slices.Contains([]string{"1.2", "1.3", "1.4", "1.5", "1.6", "1.7"}, head.SpecVersion):
		return readCycloneDX(raw, head.SpecVersion)
	case head.SPDXVersion == "SPDX-2.2" || head.SPDXVersion == "SPDX-2.3":
		return readSPDX(raw, strings.TrimPrefix(head.SPDXVersion, "SPDX-"))
	}
	return List{}, errs.E(errs.Invalid, "expected a list of components as CycloneDX 1.2 to 1.7 or SPDX 2.2 or 2.3, got bomFormat %.40q, specVersion %.40q, spdxVersion %.40q",
		head.BOMFormat, head.SpecVersion, head.SPDXVersion)
}

// add adds a component, once.
type builder struct {
	list List
	seen map[string]bool
	err  error
}

func (b *builder) add(c Component) {
	if b.err != nil {
		return
	}
	for _, text := range append([]string{c.Name, c.Version, c.PURL}, c.Licenses...) {
		if len(text) > maxText {
			b.err = errs.E(errs.Invalid, "component %.80q: a text of it has more than %d bytes", c.Name, maxText)
			return
		}
	}
	key := c.PURL + "\x00" + c.Name + "\x00" + c.Version
	if b.seen[key] {
		return
	}
	if len(b.list.Components) == MaxComponents {
		b.err = errs.E(errs.Invalid, "the list has more than %d components", MaxComponents)
		return
	}
	b.seen[key] = true
	b.list.Components = append(b.list.Components, c)
}

func (b *builder) done(format string) (List, error) {
	b.list.Format = format
	slices.SortFunc(b.list.Components, func(x, y Component) int {
		return strings.Compare(x.Name+"\x00"+x.Version+"\x00"+x.PURL, y.Name+"\x00"+y.Version+"\x00"+y.PURL)
	})
	return b.list, b.err
}

type cycloneDX struct {
	Components []cycloneComponent `json:"components"`
}

type cycloneComponent struct {
	Group      string             `json:"group"`
	Name       string             `json:"name"`
	Version    string             `json:"version"`
	PURL       string             `json:"purl"`
	Licenses   []cycloneLicense   `json:"licenses"`
	Components []cycloneComponent `json:"components"`
}

type cycloneLicense struct {
	Expression string `json:"expression"`
	License    struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"license"`
}

func readCycloneDX(raw []byte, version string) (List, error) {
	var doc cycloneDX
	if err := json.Unmarshal(raw, &doc); err != nil {
		return List{}, errs.E(errs.Invalid, "CycloneDX: %v", err)
	}
	b := builder{seen: map[string]bool{}}
	b.cyclone(doc.Components, 0)
	return b.done("CycloneDX " + version)
}

func (b *builder) cyclone(all []cycloneComponent, depth int) {
	if depth > maxDepth {
		b.err = errs.E(errs.Invalid, "CycloneDX: components are nested deeper than %d", maxDepth)
		return
	}
	for _, c := range all {
		one := Component{Name: c.Name, Version: c.Version, PURL: c.PURL}
		if c.Group != "" {
			one.Name = c.Group + "/" + c.Name
		}
		for _, l := range c.Licenses {
			for _, text := range []string{l.Expression, l.License.ID, l.License.Name} {
				if text != "" {
					one.Licenses = append(one.Licenses, text)
					break
				}
			}
		}
		b.add(one)
		b.cyclone(c.Components, depth+1)
	}
}

type spdx struct {
	Packages []struct {
		Name      string `json:"name"`
		Version   string `json:"versionInfo"`
		Concluded string `json:"licenseConcluded"`
		Declared  string `json:"licenseDeclared"`
		Refs      []struct {
			Type    string `json:"referenceType"`
			Locator string `json:"referenceLocator"`
		} `json:"externalRefs"`
	} `json:"packages"`
}

func readSPDX(raw []byte, version string) (List, error) {
	var doc spdx
	if err := json.Unmarshal(raw, &doc); err != nil {
		return List{}, errs.E(errs.Invalid, "SPDX: %v", err)
	}
	b := builder{seen: map[string]bool{}}
	for _, p := range doc.Packages {
		one := Component{Name: p.Name, Version: p.Version}
		for _, r := range p.Refs {
			if r.Type == "purl" && one.PURL == "" {
				one.PURL = r.Locator
			}
		}
		for _, l := range []string{p.Concluded, p.Declared} {
			if l != "" && l != "NOASSERTION" && l != "NONE" {
				one.Licenses = []string{l}
				break
			}
		}
		b.add(one)
	}
	return b.done("SPDX " + version)
}
