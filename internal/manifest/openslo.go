package manifest

import (
	"go.yaml.in/yaml/v3"

	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/slo"
)

// roots are the values in a document that stand for resources: the document, or the elements of a list of OpenSLO documents. An
// empty document has none.
func roots(n *yaml.Node) []*yaml.Node {
	if n.Kind != yaml.DocumentNode || len(n.Content) != 1 || n.Content[0].ShortTag() == "!!null" {
		return nil
	}
	root := n.Content[0]
	if root.Kind != yaml.SequenceNode || len(root.Content) == 0 || len(root.Content) > MaxDocs {
		return n.Content
	}
	for _, e := range root.Content {
		if versionOf(e) != slo.APIVersion {
			return n.Content
		}
	}
	return root.Content
}

func versionOf(n *yaml.Node) string {
	if n.Kind != yaml.MappingNode {
		return ""
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "apiVersion" {
			return n.Content[i+1].Value
		}
	}
	return ""
}

// asOpenSLO takes an OpenSLO document for the resource that it is, by its name.
func asOpenSLO(tree any) (any, bool) {
	obj, ok := tree.(map[string]any)
	if !ok || obj["apiVersion"] != slo.APIVersion {
		return tree, false
	}
	word, _ := obj["kind"].(string)
	kind := slo.ResourceKind(word)
	if kind == "" {
		kind = resource.KindSLO // which says what kinds there are
	}
	meta, _ := obj["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	return map[string]any{"apiVersion": resource.APIVersion, "kind": kind, "metadata": map[string]any{"name": name}, "spec": obj}, true
}

// written is a resource as it stands in files: an OpenSLO document is that, and nothing around it.
func written(r resource.Resource) any {
	if resource.IsOpenSLO(r.Kind) && slo.IsDocument(r.Spec) && len(r.Metadata.Labels) == 0 {
		return r.Spec
	}
	return r
}
