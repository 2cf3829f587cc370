package resource

import (
	"encoding/json"
	"slices"
)

// The kinds of OpenSLO documents, whose Service is no Service of ours: it groups SLOs. The spec of such a resource is the document, as it was
// written; an SLO may have a short form of ours instead. Package slo, which builds on this one, reads and judges them.
const (
	KindSLO            = "SLO"
	KindSLI            = "SLI"
	KindSLOService     = "SLOService"
	KindDataSource     = "DataSource"
	KindAlertPolicy    = "AlertPolicy"
	KindAlertCondition = "AlertCondition"
	KindAlertTarget    = "AlertNotificationTarget"
)

// OpenSLO are the kinds of OpenSLO documents.
var OpenSLO = []string{KindDataSource, KindAlertTarget, KindAlertCondition, KindAlertPolicy, KindSLI, KindSLOService, KindSLO}

// IsOpenSLO says whether resources of a kind are OpenSLO documents.
func IsOpenSLO(kind string) bool { return slices.Contains(OpenSLO, kind) }

// OpenSLODocument is the spec of such a resource.
type OpenSLODocument struct{ json.RawMessage }

// canonSLO writes a document without fields that have no value, and without what connects to a data source: that is not
// used here, and often secret.
func (p *problems) canonSLO(r Resource) (Resource, error) {
	tree, err := parse(r.Spec)
	if err != nil {
		return r, err
	}
	doc, ok := tree.(map[string]any)
	if !ok {
		p.add("spec", "an OpenSLO document", "got %s", describe(tree))
		return r, nil
	}
	prune(doc)
	if spec, ok := doc["spec"].(map[string]any); ok && r.Kind == KindDataSource {
		delete(spec, "connectionDetails")
	}
	r.Spec, err = json.Marshal(doc)
	return r, err
}

func prune(v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if e == nil {
				delete(v, k)
				continue
			}
			prune(e)
		}
	case []any:
		for _, e := range v {
			prune(e)
		}
	}
}

// sloRefs are the references of an OpenSLO document that must not dangle. A metric source that says its type itself may name a DataSource
// that is not here.
func sloRefs(r Resource) []Ref {
	var tree any
	if json.Unmarshal(r.Spec, &tree) != nil {
		return nil
	}
	var refs []Ref
	kinds := map[string]string{"indicatorRef": KindSLI, "alertPolicyRef": KindAlertPolicy, "conditionRef": KindAlertCondition, "targetRef": KindAlertTarget}
	var walk func(v any, path string)
	walk = func(v any, path string) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range sortedKeys(v) {
				name, isText := v[k].(string)
				at := field(path, k)
				switch kind := kinds[k]; {
				case isText && kind != "" && name != "":
					refs = append(refs, Ref{at, kind, name})
				case isText && k == "metricSourceRef" && v["type"] == nil:
					refs = append(refs, Ref{at, KindDataSource, name})
				case k == "metricSource":
					if source, ok := v[k].(map[string]any); ok {
						source = map[string]any{"metricSourceRef": source["metricSourceRef"], "type": source["type"]}
						walk(source, at)
					}
				case k != "metadata":
					walk(v[k], at)
				}
			}
		case []any:
			for i, e := range v {
				walk(e, item(path, i))
			}
		}
	}
	walk(tree, "spec")
	return refs
}
