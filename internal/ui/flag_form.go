package ui

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/manifest"
)

// maxVariantRows bounds the form.
const maxVariantRows = 200

// read takes the flag from the text when that was edited, else from the fields. It reports whether there is one.
func (p *flagEdit) read(r *http.Request) bool {
	if text, edited := editedText(r); edited {
		return p.readText(text)
	}
	if base, err := treeOf(json.RawMessage(r.PostFormValue("base"))); err == nil {
		p.tree = base
	}
	p.readVariants(r)
	p.fields(given(r))
	rule := strings.ReplaceAll(r.PostFormValue("targeting"), "\r\n", "\n")
	if digestOf(rule) == r.PostFormValue("rule") {
		p.ruleDoc, _ = documentOf(rule)
		return true
	}
	return p.readRule(rule)
}

func documentOf(text string) (manifest.Document, []manifest.Problem) {
	return manifest.ReadDocument(manifest.Source{Name: "text", Data: []byte(text)}, maxPlanForm)
}

// readRule takes the targeting from its text, JSON or YAML.
func (p *flagEdit) readRule(text string) bool {
	p.Targeting = text
	if strings.TrimSpace(text) == "" {
		delete(p.tree, "targeting")
		return true
	}
	doc, problems := documentOf(text)
	if len(problems) > 0 {
		p.told["targeting"] = linesOfProblems(problems)
		return false
	}
	rule, err := treeOf(doc.Raw)
	if err != nil {
		p.told["targeting"] = "Line 1: expected a rule, which is an object such as {\"if\": […]}."
		return false
	}
	p.ruleDoc, p.tree["targeting"] = doc, rule
	return true
}

// readText takes the whole flag from its text.
func (p *flagEdit) readText(text string) bool {
	doc, problems := documentOf(text)
	tree, err := draft(nil), error(nil)
	if len(problems) == 0 {
		tree, err = treeOf(doc.Raw)
	}
	switch {
	case len(problems) > 0:
		p.told["yaml"] = linesOfProblems(problems)
	case err != nil || tree == nil:
		p.told["yaml"] = "Line 1: expected a flag, which is an object with variants."
	default:
		p.tree, p.textDoc, p.Text = tree, &doc, text
		p.fields(nil)
		return true
	}
	p.fields(nil)
	p.Text = text
	return false
}

// readVariants takes names and values from their rows.
func (p *flagEdit) readVariants(r *http.Request) {
	variants := map[string]any{}
	for i := range maxVariantRows {
		at := "variant-" + strconv.Itoa(i) + "-"
		if _, there := r.PostForm[at+"name"]; !there {
			break
		}
		name, text := strings.TrimSpace(r.PostFormValue(at+"name")), strings.TrimSpace(r.PostFormValue(at+"value"))
		if name == "" && text == "" {
			continue
		}
		value, err := valueOf(text)
		_, twice := variants[name]
		switch {
		case name == "":
			p.told[at+"name"] = "a variant has a name"
		case twice:
			p.told[at+"name"] = "it stands twice"
		case err != nil:
			p.told[at+"value"] = err.Error()
		}
		variants[name] = value
	}
	p.tree["variants"] = variants
}

// valueOf reads a value as JSON; what looks like none is text.
func valueOf(text string) (any, error) {
	var v any
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	err := dec.Decode(&v)
	switch {
	case err == nil && !dec.More():
		return v, nil
	case text == "":
		return "", errs.E(errs.Invalid, "missing, expected a value such as true, 12, \"text\" or {…}")
	case strings.ContainsAny(text[:1], `{["`):
		return text, errs.E(errs.Invalid, "cannot be read as JSON")
	}
	return text, nil
}

// changeVariants adds and removes rows; it reports whether do is one of these.
func (p *flagEdit) changeVariants(do string, i int) bool {
	names := variantNames(p.tree)
	variants, _ := p.tree["variants"].(map[string]any)
	switch {
	case do == "variant-add" && len(names) < maxVariantRows:
		if variants == nil {
			variants = map[string]any{}
		}
		n := len(names) + 1
		for variants[fmt.Sprintf("variant-%d", n)] != nil {
			n++
		}
		variants[fmt.Sprintf("variant-%d", n)] = sample(variants)
	case do == "variant-remove" && i >= 0 && i < len(names):
		delete(variants, names[i])
	default:
		return false
	}
	p.tree["variants"] = variants
	p.told = map[string]string{}
	p.Text, p.textDoc = "", nil
	p.fields(nil)
	return true
}

// sample is a value of the type of the others.
func sample(variants map[string]any) any {
	for _, v := range variants {
		switch v.(type) {
		case bool:
			return true
		case json.Number:
			return json.Number("0")
		case map[string]any:
			return map[string]any{}
		}
		return "text"
	}
	return true
}

// fields makes the form, from what was posted when there is anything.
func (p *flagEdit) fields(posted func(string) (string, bool)) {
	kept := map[string]string{} // what cannot be read stays as it was typed
	for _, list := range [][]shownField{p.Fields, p.Exposed, p.Preview} {
		for _, f := range list {
			kept[f.ID] = f.Value
		}
	}
	none := func(*draft) string { return "" }
	general, exposed, preview := flagFields(p.tree, p.plans)
	show := func(fields []planField[draft]) []shownField {
		out := formOf(fields, &p.tree, none, "", posted, p.told)
		for i, f := range out {
			if text, was := kept[f.ID]; was && f.Problem != "" && posted == nil {
				out[i].Value = text
			}
		}
		return out
	}
	p.Fields, p.Exposed, p.Preview = show(general), show(exposed), show(preview)
	p.Variants = nil
	variants, _ := p.tree["variants"].(map[string]any)
	colours := paints(variantNames(p.tree), words0(p.tree["defaultVariant"]))
	for i, name := range variantNames(p.tree) {
		at := "variant-" + strconv.Itoa(i) + "-"
		p.Variants = append(p.Variants, rowView{Index: i, Name: name, Paint: colours[name], Fields: []shownField{
			{ID: at + "name", Label: "Name", Value: name, Problem: p.told[at+"name"]},
			{ID: at + "value", Label: "Value", Help: "JSON", Wide: true, Value: compactWhole(variants[name]), Problem: p.told[at+"value"]}}})
	}
}

func compactWhole(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}

// showFlagEdit draws the editor as the flag is now.
func (s *Server) showFlagEdit(w http.ResponseWriter, r *http.Request, p *flagEdit, status int) error {
	raw, err := json.Marshal(p.tree)
	if err != nil {
		return err
	}
	p.Base = string(raw)
	text, err := yamlOf(p.tree)
	if err != nil {
		return err
	}
	p.Wrote = digestOf(text)
	if p.told["yaml"] == "" { // else what was typed stays
		p.Text = text
	}
	var rule []byte
	if t := p.tree["targeting"]; t != nil {
		if rule, err = json.MarshalIndent(t, "", "  "); err != nil {
			return err
		}
	}
	if p.Rule = digestOf(string(rule)); p.told["targeting"] == "" {
		p.Targeting = string(rule)
	}
	return s.show(w, r, status, "flagedit", p)
}
