package sbom

import (
	"net/url"
	"strings"
)

// Package is what a package URL names.
type Package struct{ Type, Namespace, Name, Version, Distro string }

// ParsePURL reads a package URL; false when it is none.
func ParsePURL(s string) (Package, bool) {
	rest, ok := strings.CutPrefix(s, "pkg:")
	if !ok {
		return Package{}, false
	}
	rest = strings.TrimLeft(rest, "/")
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	var p Package
	if at := strings.LastIndexByte(rest, '@'); at > strings.LastIndexByte(rest, '/') {
		rest, p.Version = rest[:at], rest[at+1:]
	}
	parts := strings.Split(strings.Trim(rest, "/"), "/")
	if len(parts) < 2 {
		return Package{}, false
	}
	var err error
	for i := range parts {
		if parts[i], err = url.PathUnescape(parts[i]); err != nil || parts[i] == "" {
			return Package{}, false
		}
	}
	if p.Version, err = url.PathUnescape(p.Version); err != nil {
		return Package{}, false
	}
	p.Type, p.Name = strings.ToLower(parts[0]), parts[len(parts)-1]
	p.Namespace = strings.Join(parts[1:len(parts)-1], "/")
	if q, err := url.ParseQuery(query); err == nil {
		p.Distro = q.Get("distro")
	}
	return p, true
}
