package sbom

import (
	"slices"
	"strings"
)

// Search are the components in whose name, version, package URL or licences a text stands, whatever its case; all for "".
func Search(all []Component, text string) []Component {
	text = strings.ToLower(strings.TrimSpace(text))
	out := []Component{}
	for _, c := range all {
		in := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
		if in(c.Name) || in(c.Version) || in(c.PURL) || slices.ContainsFunc(c.Licenses, in) {
			out = append(out, c)
		}
	}
	return out
}
