package ui

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/resource"
)

// draft is a flag as it is edited: what it would be in its set.
type draft = map[string]any

// dig finds what a path of names leads to; nil when there is nothing.
func dig(tree draft, path ...string) any {
	var at any = tree
	for _, name := range path {
		m, _ := at.(map[string]any)
		at = m[name]
	}
	return at
}

// plant puts a value at the end of a path, or with nil takes it away, and with it what is left empty around it.
func plant(tree draft, value any, path ...string) {
	if len(path) == 1 {
		if value == nil {
			delete(tree, path[0])
			return
		}
		tree[path[0]] = value
		return
	}
	below, _ := tree[path[0]].(map[string]any)
	if below == nil {
		if value == nil {
			return
		}
		below = map[string]any{}
	}
	plant(below, value, path[1:]...)
	if tree[path[0]] = below; len(below) == 0 {
		delete(tree, path[0])
	}
}

func words0(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return ""
}

// draftText is a text of a flag.
func draftText(label, help string, wide bool, path ...string) planField[draft] {
	return planField[draft]{Key: strings.Join(path, "-"), Path: strings.Join(path, "."), Label: label, Help: help, Wide: wide,
		get: func(d *draft) string { return words0(dig(*d, path...)) },
		set: func(d *draft, s string) error {
			switch was := words0(dig(*d, path...)); {
			case s == "":
				plant(*d, nil, path...)
			case strings.Join(strings.Fields(was), " ") != strings.Join(strings.Fields(s), " "): // a field has no lines
				plant(*d, s, path...)
			}
			return nil
		}}
}

// draftChoice is a choice; the first option stands for nothing being said.
func draftChoice(label string, options []string, path ...string) planField[draft] {
	f := draftText(label, "", false, path...)
	get, set := f.get, f.set
	f.Options = options
	f.get = func(d *draft) string {
		if s := get(d); s != "" {
			return s
		}
		return options[0]
	}
	f.set = func(d *draft, s string) error {
		if s == options[0] {
			s = ""
		}
		return set(d, s)
	}
	return f
}

const (
	ownDefault = "the caller’s own default"
	unsaid     = "not said"
	noPlan     = "not by rings"
)

// flagFields are the usual settings of a flag; plans are those that there are.
func flagFields(d draft, plans []string) (general, exposed, preview []planField[draft]) {
	variants := variantNames(d)
	state := draftChoice("State", []string{"ENABLED", "DISABLED"}, "state")
	state.set = func(d *draft, s string) error { plant(*d, s, "state"); return nil }
	general = []planField[draft]{
		state,
		draftChoice("Default variant", append([]string{ownDefault}, with(variants, words0(d["defaultVariant"]))...), "defaultVariant"),
		draftChoice("Kind", []string{unsaid, "release", "experiment", "operational", "permission"}, "kind"),
		draftText("Owner", "team-shop", false, "owner"),
		draftText("Expires", "2026-12-31", false, "expires"),
		draftText("Description", "what it is for", true, "description"),
	}
	plan := draftChoice("Plan", append([]string{noPlan}, with(plans, words0(dig(d, "exposure", "plan")))...), "exposure", "plan")
	plan.set = func(d *draft, s string) error {
		switch {
		case s == noPlan:
			delete(*d, "exposure")
		case (*d)["exposure"] == nil:
			(*d)["exposure"] = map[string]any{"plan": s, "variant": other(*d)}
		default:
			plant(*d, s, "exposure", "plan")
		}
		return nil
	}
	control := draftText("Control, %", "50", false, "exposure", "control")
	control.set = func(d *draft, s string) error {
		if _, err := strconv.ParseFloat(s, 64); err != nil && s != "" {
			return errs.E(errs.Invalid, "got %.40q, expected percent from 0 to 90", s)
		}
		if s == "" {
			plant(*d, nil, "exposure", "control")
			return nil
		}
		plant(*d, json.Number(s), "exposure", "control")
		return nil
	}
	exposed = []planField[draft]{plan, draftVariant("exposure", d), control, draftText("Outermost ring", "the last", false, "exposure", "ring")}
	preview = []planField[draft]{draftText("Title", "empty for no preview", false, "preview", "title"), draftVariant("preview", d), draftText("Description", "what users read before they opt in", true, "preview", "description")}
	preview[0].set = func(d *draft, s string) error {
		switch {
		case s == "":
			delete(*d, "preview")
		case (*d)["preview"] == nil:
			(*d)["preview"] = map[string]any{"title": s, "variant": other(*d)}
		default:
			plant(*d, s, "preview", "title")
		}
		return nil
	}
	for _, fields := range [][]planField[draft]{exposed[1:], preview[1:]} { // they say nothing where there is none
		for i := range fields {
			set, part := fields[i].set, strings.SplitN(fields[i].Path, ".", 2)[0]
			fields[i].set = func(d *draft, s string) error {
				if (*d)[part] == nil {
					return nil
				}
				return set(d, s)
			}
		}
	}
	return general, exposed, preview
}

// draftVariant is the choice of a variant for an exposure or a preview.
func draftVariant(part string, d draft) planField[draft] {
	f := draftText("Variant", "", false, part, "variant")
	f.Options = with(variantNames(d), words0(dig(d, part, "variant")))
	get := f.get
	f.get = func(d *draft) string {
		if s := get(d); s != "" || (*d)[part] != nil {
			return s
		}
		return other(*d)
	}
	return f
}

// with adds what is chosen to what can be chosen, so that it is not lost.
func with(options []string, chosen string) []string {
	if chosen == "" || slices.Contains(options, chosen) {
		return options
	}
	return append(slices.Clone(options), chosen)
}

func variantNames(d draft) []string {
	variants, _ := d["variants"].(map[string]any)
	return slices.Sorted(maps.Keys(variants))
}

// other is a variant that is not the default one.
func other(d draft) string {
	for _, name := range variantNames(d) {
		if name != words0(d["defaultVariant"]) {
			return name
		}
	}
	return ""
}

// flagOrder is how people write a flag.
var flagOrder = []string{"description", "owner", "kind", "expires", "archived", "state", "variants", "defaultVariant", "targeting", "prerequisites", "schedule", "exposure", "preview", "environments", "metadata"}

// yamlOf writes a flag as text.
func yamlOf(d draft) (string, error) {
	keys := slices.SortedFunc(maps.Keys(d), func(a, b string) int {
		at := func(k string) int {
			if i := slices.Index(flagOrder, k); i >= 0 {
				return i
			}
			return len(flagOrder)
		}
		if at(a) != at(b) {
			return at(a) - at(b)
		}
		return strings.Compare(a, b)
	})
	var b bytes.Buffer
	b.WriteByte('{')
	for i, k := range keys {
		name, err := json.Marshal(k)
		if err != nil {
			return "", err
		}
		value, err := json.Marshal(d[k])
		if err != nil {
			return "", err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	text, err := manifest.YAML(resource.Resource{APIVersion: resource.APIVersion, Kind: resource.KindFlagSet, Metadata: resource.Metadata{Name: "x"}, Spec: b.Bytes()})
	if err != nil {
		return "", err
	}
	_, spec, _ := strings.Cut(string(text), "\nspec:")
	if strings.HasPrefix(spec, " ") { // short enough for one line
		return strings.TrimPrefix(spec, " "), nil
	}
	lines := strings.SplitAfter(strings.TrimPrefix(spec, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	}
	return strings.Join(lines, ""), nil
}

// difference is the merge patch (RFC 7396) that makes one object another; nil when they are equal.
func difference(from, to map[string]any) map[string]any {
	patch := map[string]any{}
	for k := range from {
		if _, still := to[k]; !still {
			patch[k] = nil
		}
	}
	for k, v := range to {
		was, there := from[k]
		a, aok := was.(map[string]any)
		b, bok := v.(map[string]any)
		switch {
		case there && aok && bok:
			if d := difference(a, b); d != nil {
				patch[k] = d
			}
		case !there || !equalJSON(was, v):
			patch[k] = v
		}
	}
	if len(patch) == 0 {
		return nil
	}
	return patch
}

func equalJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// hasNull says whether an object below one has a field that is null, which a merge patch cannot set. A default variant of the
// flag that is null is the same as none.
func hasNull(v any, top bool) bool {
	m, _ := v.(map[string]any)
	for k, x := range m {
		if x == nil && !(top && k == "defaultVariant") || hasNull(x, false) {
			return true
		}
	}
	return false
}
