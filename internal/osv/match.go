package osv

import (
	"slices"
	"strings"
)

// Has reports whether a version of the package is affected. Sure is false when the entry cannot be compared with: it then counts as affected.
func (a Affected) Has(version string) (affected, sure bool) {
	if slices.Contains(a.Versions, version) || a.Ecosystem == "Go" && slices.Contains(a.Versions, strings.TrimPrefix(version, "v")) {
		return true, true
	}
	if len(a.Ranges) == 0 {
		return len(a.Versions) == 0, len(a.Versions) > 0 // without both, every version of it is meant
	}
	compare := orderOf(Family(a.Ecosystem))
	if compare == nil {
		return len(a.Versions) == 0, len(a.Versions) > 0
	}
	sure = true
	for _, r := range a.Ranges {
		in, known := r.has(version, compare)
		if in && known {
			return true, true
		}
		affected, sure = affected || in, sure && known
	}
	return affected, sure
}

// has walks along a range in the order of versions: what came before the version and was not gone by then is in it.
func (r Range) has(version string, compare func(a, b string) (int, bool)) (in, sure bool) {
	type point struct {
		version string
		event   Event
	}
	var points []point
	for _, e := range r.Events {
		for _, v := range []string{e.Introduced, e.Fixed, e.LastAffected} {
			if v != "" {
				points = append(points, point{v, e})
			}
		}
		if e.Limit != "" && e.Limit != "*" {
			if c, ok := compare(version, e.Limit); ok && c >= 0 {
				return false, true
			}
		}
	}
	sure = true
	slices.SortStableFunc(points, func(x, y point) int {
		if x.version == y.version {
			return 0
		}
		if x.version == "0" {
			return -1
		}
		if y.version == "0" {
			return 1
		}
		c, ok := compare(x.version, y.version)
		sure = sure && ok
		return c
	})
	for _, p := range points {
		c := 1
		if p.version != "0" {
			var ok bool
			if c, ok = compare(version, p.version); !ok {
				return true, false
			}
		}
		switch {
		case p.event.Introduced != "" && c >= 0:
			in = true
		case p.event.Fixed != "" && c >= 0, p.event.LastAffected != "" && c > 0:
			in = false
		}
	}
	if !sure {
		return true, false
	}
	return in, true
}

// FixedIn are the versions in which it is gone, above the one that is affected.
func (a Affected) FixedIn(version string) []string {
	compare := orderOf(Family(a.Ecosystem))
	var all []string
	for _, r := range a.Ranges {
		for _, e := range r.Events {
			if e.Fixed == "" || slices.Contains(all, e.Fixed) {
				continue
			}
			if compare != nil {
				if c, ok := compare(e.Fixed, version); ok && c <= 0 {
					continue
				}
			}
			all = append(all, e.Fixed)
		}
	}
	return all
}

func orderOf(ecosystem string) func(a, b string) (int, bool) {
	switch ecosystem {
	case "Go", "npm", "crates.io", "Hex", "Pub", "SwiftURL", "GitHub Actions":
		return compareSemver
	case "PyPI":
		return comparePEP440
	case "Debian", "Ubuntu":
		return compareDebian
	}
	return nil
}
