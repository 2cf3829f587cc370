package compat

import (
	"net/url"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/oasdiff/oasdiff/checker"
	"github.com/oasdiff/oasdiff/diff"
	"github.com/oasdiff/oasdiff/load"

	"github.com/ringfence/ringfence/internal/contract"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

// openAPI reads OpenAPI 3 documents.
type openAPI struct{}

func loadOpenAPI(doc []byte) (*openapi3.T, error) {
	l := openapi3.NewLoader()
	l.IsExternalRefsAllowed = false
	spec, err := l.LoadFromData(doc)
	if err != nil {
		return nil, errs.E(errs.Invalid, "the interface is no OpenAPI document: %.400s", err)
	}
	if !strings.HasPrefix(spec.OpenAPI, "3.") {
		return nil, errs.E(errs.Invalid, "the interface has openapi: %.20q, expected 3.0 or 3.1", spec.OpenAPI)
	}
	return spec, nil
}

// base is the path below which a document's paths are.
func base(spec *openapi3.T) string {
	if len(spec.Servers) == 0 {
		return ""
	}
	u, err := url.Parse(spec.Servers[0].URL)
	if err != nil {
		return ""
	}
	return strings.TrimRight(u.Path, "/")
}

func (openAPI) operations(doc []byte, now time.Time) ([]fleet.Operation, error) {
	spec, err := loadOpenAPI(doc)
	if err != nil {
		return nil, err
	}
	var all []fleet.Operation
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			one := fleet.Operation{Name: method + " " + base(spec) + path}
			if op.Deprecated {
				if one.Deprecated, err = date(op.Extensions, "x-deprecated-since", one.Name); err != nil {
					return nil, err
				}
				if one.Deprecated.IsZero() {
					one.Deprecated = now
				}
				if one.Sunset, err = date(op.Extensions, "x-sunset", one.Name); err != nil {
					return nil, err
				}
			}
			all = append(all, one)
		}
	}
	return all, nil
}

// date reads an extension that holds a day, as oasdiff's x-sunset does, or a time.
func date(extensions map[string]any, name, of string) (time.Time, error) {
	text, ok := extensions[name].(string)
	if !ok && extensions[name] != nil {
		return time.Time{}, errs.E(errs.Invalid, "%s: %s is no text, expected a day such as \"2027-01-31\"", of, name)
	}
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errs.E(errs.Invalid, "%s: %s: got %.40q, expected a day such as \"2027-01-31\"", of, name, text)
}

func (openAPI) breaks(before, after []byte) ([]contract.Found, error) {
	old, err := loadOpenAPI(before)
	if err != nil {
		return nil, err
	}
	next, err := loadOpenAPI(after)
	if err != nil {
		return nil, err
	}
	found := removed(old, next)
	gone := map[string]bool{}
	for _, f := range found {
		gone[f.Operation] = true
	}
	d, sources, err := diff.GetWithOperationsSourcesMap(diff.NewConfig(), &load.SpecInfo{Url: "before", Spec: old}, &load.SpecInfo{Url: "after", Spec: next})
	if err != nil {
		return nil, errs.E(errs.Invalid, "the interfaces cannot be compared: %.400s", err)
	}
	words := checker.NewDefaultLocalizer()
	for _, c := range checker.CheckBackwardCompatibilityUntilLevel(checker.NewConfig(checker.GetAllChecks()), d, sources, checker.ERR) {
		op := ""
		if c.GetOperation() != "" && c.GetPath() != "" {
			op = c.GetOperation() + " " + base(old) + c.GetPath()
		}
		if gone[op] || strings.HasPrefix(c.GetId(), "api-deprecated") || strings.HasPrefix(c.GetId(), "api-sunset") || strings.HasPrefix(c.GetId(), "sunset") {
			continue // what is removed is said already, and when that may be is for callers to decide, not for dates
		}
		found = append(found, contract.Found{Operation: op, Text: strings.ReplaceAll(c.GetUncolorizedText(words), "`", "'")})
	}
	return found, nil
}

// removed are the operations that are gone, whatever dates were promised for that.
func removed(old, next *openapi3.T) []contract.Found {
	has := map[string]bool{}
	for path, item := range next.Paths.Map() {
		for method := range item.Operations() {
			has[method+" "+shape(base(next)+path)] = true
		}
	}
	var found []contract.Found
	for path, item := range old.Paths.Map() {
		for method := range item.Operations() {
			if !has[method+" "+shape(base(old)+path)] {
				found = append(found, contract.Found{Operation: method + " " + base(old) + path, Removed: true, Text: "is removed"})
			}
		}
	}
	return found
}

// shape is a template whatever its parameters are called.
func shape(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if strings.Contains(p, "{") {
			parts[i] = "{}"
		}
	}
	return strings.Join(parts, "/")
}
