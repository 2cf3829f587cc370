package policy

import (
	"net/url"
	"strings"

	"github.com/ringfence/ringfence/internal/resource"
)

// kinds are words of paths that stand for another kind, in the one spelling that kindOf leaves of them.
var kinds = map[string]string{"plan": "ringplan", "apply": "declaration", "export": "declaration", "resource": "declaration",
	"alertpolicie": "alertpolicy", "budgetpolicie": "budgetpolicy", "accesspolicie": "accesspolicy", "accessrule": "accessrules", "alertrule": "alertrules"}

// Subject reads from a route's pattern and a request's path what the request is about, and its verb: of
// /services/{service}/redeploy a service, by its name, and redeploy. The API and the pages name their paths alike. Path is
// as it was escaped; nothing is read from a path that does not fit the pattern.
func Subject(pattern, path string) (Resource, string) {
	if _, after, ok := strings.Cut(pattern, " "); ok {
		pattern = after
	}
	words, values := split(pattern), split(path)
	if len(words) > 0 && words[0] == "v1" {
		words, values = words[1:], values[min(1, len(values)):]
	}
	var r Resource
	var names, verb []string
	for i, w := range words {
		param, isParam := strings.CutPrefix(w, "{")
		param = strings.TrimRight(param, "}.")
		switch {
		case param == "$" || i >= len(values) && isParam:
		case isParam && param == "kind":
			r.Kind = KindOf(values[i])
		case isParam:
			names = append(names, values[i])
			if param == "service" {
				r.Service = values[i]
			}
		case i == 0:
			r.Kind = KindOf(w)
		default:
			verb = append(verb, w)
		}
	}
	if len(names) > 0 {
		r.Name = names[0]
	}
	if r.Kind == "flag" && len(names) > 1 {
		r.Name = names[0] + "/" + names[1]
	}
	return r, strings.Join(verb, "/")
}

func split(path string) []string {
	words := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, w := range words {
		if plain, err := url.PathUnescape(w); err == nil {
			words[i] = plain
		}
	}
	return words
}

// KindOf is a kind as rules name it, by any spelling that the API takes: RingPlan, ring-plans and plan are ringplan.
func KindOf(word string) string {
	if word = strings.ReplaceAll(strings.ToLower(word), "-", ""); !strings.HasSuffix(word, "ss") {
		word = strings.TrimSuffix(word, "s")
	}
	if k, ok := kinds[word]; ok {
		return k
	}
	return word
}

// Declared is a declared thing as rules see it.
func Declared(r resource.Resource) Resource {
	out := Resource{Kind: KindOf(r.Kind), Name: r.Metadata.Name, Labels: r.Metadata.Labels}
	if r.Kind == resource.KindService {
		out.Service = r.Metadata.Name
	}
	return out
}
