package manifest

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/resource"
)

var noName = regexp.MustCompile(`[^a-z0-9]+`)

// asAlertRules takes a rule file of Prometheus for the AlertRules that it is, by the name of the file.
func asAlertRules(tree any, file string) (any, bool) {
	obj, ok := tree.(map[string]any)
	groups, list := obj["groups"].([]any)
	if !ok || !list || obj["apiVersion"] != nil || obj["kind"] != nil || len(obj) != 1 {
		return tree, false
	}
	for _, g := range groups {
		wordsOnly(g, "labels")
		group, _ := g.(map[string]any)
		rules, _ := group["rules"].([]any)
		for _, r := range rules {
			wordsOnly(r, "labels", "annotations")
		}
	}
	return map[string]any{"apiVersion": resource.APIVersion, "kind": resource.KindAlertRules, "metadata": map[string]any{"name": nameOf(file)}, "spec": obj}, true
}

// nameOf makes a name of a file's: alerts/Shop_rules.yml is shop-rules.
func nameOf(file string) string {
	base := filepath.Base(file)
	base = strings.TrimSuffix(strings.TrimSuffix(base, filepath.Ext(base)), ".rules")
	name := strings.Trim(noName.ReplaceAllString(strings.ToLower(base), "-"), "-")
	if name == "" || file == "stdin" {
		return "default"
	}
	return strings.TrimRight(name[:min(len(name), 63)], "-")
}

// wordsOnly makes words of numbers and of true and false, as Prometheus does where it wants words, and takes away what says nothing.
func wordsOnly(of any, fields ...string) {
	obj, ok := of.(map[string]any)
	if !ok {
		return
	}
	for k, v := range obj {
		if v == nil {
			delete(obj, k)
		}
	}
	for _, f := range fields {
		set, _ := obj[f].(map[string]any)
		for k, v := range set {
			switch v := v.(type) {
			case nil:
				set[k] = ""
			case bool:
				set[k] = strconv.FormatBool(v)
			case json.Number, int, int64, float64:
				set[k] = fmt.Sprint(v)
			}
		}
	}
	for _, f := range []string{"for", "keep_firing_for", "interval", "expr"} {
		switch v := obj[f].(type) {
		case json.Number, int, int64, float64:
			obj[f] = fmt.Sprint(v)
		}
	}
}
