package ui

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/resource"
)

// flagEdit is a flag as it is edited.
type flagEdit struct {
	*visit
	Set, Key  string
	New       bool
	NewSet    bool
	Fields    []shownField
	Variants  []rowView
	Exposed   []shownField
	Preview   []shownField
	Targeting string
	Base      string // the flag as JSON, which holds what no field shows
	Seen      string // what was stored when editing began
	Text      string
	Wrote     string // tells whether the text was edited
	Rule      string // tells whether the rule was
	Problems  []string
	Trouble   *trouble
	Checked   string
	Diff      []diffLine
	Asks      []string // environments whose reviewers the edit, as it stands, is for
	Reviewers []string // environments that have reviewers
	Reason    string

	tree, stored draft
	set          resource.Resource
	told         map[string]string
	plans        []string
	ruleDoc      manifest.Document
	textDoc      *manifest.Document
}

// diffLine is a line of a diff.
type diffLine struct{ Op, Text string }

// Told is the problem of a field that is no row's.
func (p *flagEdit) Told(key string) string { return p.told[key] }

// Wrong says that something is.
func (p *flagEdit) Wrong() bool { return len(p.told) > 0 }

// Link is the flag's page.
func (p *flagEdit) Link() string { return flagURL(flag.Subject{Set: p.Set, Key: p.Key}, "") }

// Here is the editor's own address.
func (p *flagEdit) Here() string { return flagURL(flag.Subject{Set: p.Set, Key: p.Key}, "edit") }

// newFlag leads to the editor of a flag that is not there yet, in a set that may not be there either.
func (s *Server) newFlag(w http.ResponseWriter, r *http.Request, _ *visit) error {
	set, key := strings.TrimSpace(r.URL.Query().Get("set")), strings.TrimSpace(r.URL.Query().Get("key"))
	switch {
	case !planNameRE.MatchString(set):
		return errs.E(errs.Invalid, "set: got %.70q, expected lower-case letters, digits and hyphens, at most 63", set)
	case key == "" || len(key) > 1024:
		return errs.E(errs.Invalid, "key: expected 1 to 1024 bytes")
	}
	http.Redirect(w, r, "/flags/"+url.PathEscape(set)+"/"+url.PathEscape(key)+"/edit", http.StatusSeeOther)
	return nil
}

// storedFlag is a flag as it is declared, or one to begin with.
func (s *Server) storedFlag(r *http.Request, v *visit) (*flagEdit, error) {
	ctx := r.Context()
	p := &flagEdit{visit: v, Set: r.PathValue("set"), Key: r.PathValue("key"), told: map[string]string{}, Reason: clip(r.PostFormValue("reason"), maxReason)}
	v.Title = "Edit " + p.Key
	err := s.each(ctx, resource.KindRingPlan, func(one resource.Resource) error {
		p.plans = append(p.plans, one.Metadata.Name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.set, err = s.Catalog.Get(ctx, resource.KindFlagSet, p.Set)
	switch {
	case errs.Is(err, errs.Missing) && v.MayChange() && planNameRE.MatchString(p.Set):
		p.New, p.NewSet = true, true
		p.set = resource.Resource{APIVersion: resource.APIVersion, Kind: resource.KindFlagSet, Metadata: resource.Metadata{Name: p.Set}, Spec: json.RawMessage(`{"flags":{}}`)}
	case err != nil:
		return nil, err
	}
	tree, err := treeOf(p.set.Spec)
	if err != nil {
		return nil, err
	}
	if _, isMap := tree["flags"].(map[string]any); !isMap {
		return nil, errs.E(errs.Conflict, "set %s lists its flags, so they are edited together", p.Set).Next("Edit the set as text: /flag-sets/%s", p.Set)
	}
	if doc, _ := flag.Of(p.set); doc != nil {
		for env := range doc.Reviewers {
			p.Reviewers = append(p.Reviewers, env)
		}
		slices.Sort(p.Reviewers)
	}
	p.tree, p.stored = flagTree(p.set, p.Key), flagTree(p.set, p.Key)
	if p.tree == nil {
		if !v.MayChange() {
			return nil, errs.E(errs.Missing, "there is no flag %q in set %s", p.Key, p.Set)
		}
		p.New = true
		p.tree = draft{"state": "ENABLED", "kind": "release", "variants": map[string]any{"on": true, "off": false}, "defaultVariant": "off"}
		return p, nil
	}
	raw, err := json.Marshal(p.stored)
	p.Seen = digestOf(string(raw))
	return p, err
}

func (s *Server) flagEditor(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := s.storedFlag(r, v)
	if err != nil {
		return err
	}
	p.fields(nil)
	return s.showFlagEdit(w, r, p, http.StatusOK)
}

// editFlag takes the form of the editor: variants that come and go, a check, or what is to be kept.
func (s *Server) editFlag(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := s.storedFlag(r, v)
	if err != nil {
		return err
	}
	stored := p.Seen
	p.Seen = r.PostFormValue("seen")
	if !p.read(r) {
		return s.showFlagEdit(w, r, p, http.StatusUnprocessableEntity)
	}
	do, at, _ := strings.Cut(r.PostFormValue("do"), ":")
	i, _ := strconv.Atoi(at)
	if p.changeVariants(do, i) {
		return s.showFlagEdit(w, r, p, http.StatusOK)
	}
	if do == "save" && stored != p.Seen {
		err = errs.E(errs.Conflict, "somebody else has changed flag %s meanwhile", p.Key).Next("Load the page again to see their flag; yours is in the text beside the fields.")
	}
	if err == nil {
		err = s.checkFlag(r.Context(), p)
	}
	if err == nil && do == "save" && len(p.told) == 0 && len(p.Problems) == 0 {
		var to string
		if to, err = s.saveFlag(r.Context(), p); err == nil {
			return s.lead(w, r, to)
		}
	}
	if err != nil {
		if err = p.refused(s, r, err); err != nil {
			return err
		}
	}
	p.fields(nil)
	status := http.StatusOK
	switch {
	case p.Trouble != nil:
		status = p.Trouble.Status
	case len(p.told) > 0 || len(p.Problems) > 0:
		status, p.Diff, p.Asks = http.StatusUnprocessableEntity, nil, nil
	case len(p.Diff) == 0:
		p.Checked = "It is as it was: there is nothing to save."
	default:
		p.Checked = "Nothing is wrong with it. It is not saved yet."
	}
	return s.showFlagEdit(w, r, p, status)
}

// lead sends a browser to another page.
func (s *Server) lead(w http.ResponseWriter, r *http.Request, to string) error {
	if fragment(r) {
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// saveFlag keeps an edit, or asks for its review, and says where to go then.
func (s *Server) saveFlag(ctx context.Context, p *flagEdit) (string, error) {
	if p.NewSet {
		after, err := p.after()
		if err == nil {
			_, err = s.Plans.Apply(ctx, p.Who.Actor(), p.Now, []resource.Resource{after}, false)
		}
		return p.Link(), err
	}
	patch := difference(p.stored, p.tree)
	if patch == nil {
		return p.Link(), nil
	}
	if hasNull(p.tree, true) {
		return "", errs.E(errs.Invalid, "null stands in an object, which an edit of one flag cannot set").Next("Edit the file of the set and apply it: ringfence apply -f FILE")
	}
	out, err := s.Board.EditFlag(ctx, p.Who.Actor(), p.Set, p.Key, patch, p.Reason, p.Now)
	if err == nil && out.Request != nil {
		return "/change-requests#" + out.Request.ID, nil
	}
	return p.Link(), err
}

// after is the set as it would be.
func (p *flagEdit) after() (resource.Resource, error) {
	out := p.set
	tree, err := treeOf(p.set.Spec)
	if err != nil {
		return out, err
	}
	flags, _ := tree["flags"].(map[string]any)
	flags[p.Key] = p.tree
	out.Spec, err = json.Marshal(tree)
	return out, err
}

// checkFlag judges the set with the edit in it, and says what the edit changes and who has to review it.
func (s *Server) checkFlag(ctx context.Context, p *flagEdit) error {
	after, err := p.after()
	if err != nil {
		return err
	}
	doc, problems := flag.Of(after)
	if len(problems) > 0 {
		p.place(problems)
		return nil
	}
	if plan := words0(dig(p.tree, "exposure", "plan")); plan != "" && !slices.Contains(p.plans, plan) {
		p.told["exposure-plan"] = "there is no plan " + plan
		return nil
	}
	before := p.set
	if p.NewSet {
		if _, err := s.Plans.Apply(ctx, p.Who.Actor(), p.Now, []resource.Resource{after}, true); err != nil {
			return err
		}
	} else if old, _ := flag.Of(before); old != nil {
		p.Asks = flag.Reviewed(old, doc)
	}
	p.Diff, err = diffSets(before, after, p.NewSet)
	return err
}

// diffSets shows how a set changes, line by line.
func diffSets(before, after resource.Resource, isNew bool) ([]diffLine, error) {
	var old *resource.Resource
	if !isNew {
		tree, err := treeOf(before.Spec) // both are written the same way
		if err != nil {
			return nil, err
		}
		if before.Spec, err = json.Marshal(tree); err != nil {
			return nil, err
		}
		old = &before
	}
	text, err := manifest.Diff(old, &after)
	if err != nil || text == "" {
		return nil, err
	}
	var out []diffLine
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if i < 2 { // the names
			continue
		}
		op := map[byte]string{'+': "add", '-': "del", '@': "at"}[append([]byte(line), ' ')[0]]
		out = append(out, diffLine{op, line})
	}
	return out, nil
}

// place puts problems of the set where they belong.
func (p *flagEdit) place(problems []resource.Problem) {
	prefix := resource.Field("spec.flags", p.Key)
	var inRule, inText []resource.Problem
	general, exposed, preview := flagFields(p.tree, p.plans)
	for _, one := range problems {
		tail := strings.TrimPrefix(one.Path, prefix)
		switch {
		case !under(one.Path, prefix):
			p.Problems = append(p.Problems, sentenceCase(one.Text()))
			continue
		case p.textDoc != nil:
			one.Path = strings.TrimPrefix(tail, ".")
			inText = append(inText, one)
			continue
		case under(tail, ".targeting"):
			one.Path = strings.TrimPrefix(strings.TrimPrefix(tail, ".targeting"), ".")
			inRule = append(inRule, one)
			continue
		}
		bare := one
		bare.Path = ""
		id := idOf(slices.Concat(general, exposed, preview), "", strings.TrimPrefix(tail, "."))
		if id != "" && tail != "" && p.told[id] == "" {
			p.told[id] = bare.Text()
			continue
		}
		one.Path = strings.TrimPrefix(tail, ".")
		p.Problems = append(p.Problems, sentenceCase(one.Text()))
	}
	if len(inRule) > 0 {
		p.told["targeting"] = linesOfProblems(p.ruleDoc.Locate(inRule))
	}
	if len(inText) > 0 {
		p.told["yaml"] = linesOfProblems(p.textDoc.Locate(inText))
	}
}

// linesOfProblems says what is wrong in which line.
func linesOfProblems(problems []manifest.Problem) string {
	var out []string
	for _, one := range problems {
		text := sentenceCase(resource.Problem{Path: one.Field, Msg: one.Msg, Expected: one.Expected}.Text())
		if one.Line > 0 {
			text = fmt.Sprintf("Line %d: %s", one.Line, strings.TrimSuffix(resource.Problem{Path: one.Field, Msg: one.Msg, Expected: one.Expected}.Text(), ".")+".")
		}
		out = append(out, text)
	}
	return strings.Join(out, "\n")
}

// refused puts what the board or the catalog says where it belongs.
func (p *flagEdit) refused(s *Server, r *http.Request, err error) error {
	var list resource.Problems
	switch {
	case errors.As(err, &list):
		p.place(list)
	case errs.Is(err, errs.Internal):
		return err
	default:
		t := s.troubleOf(r, err)
		p.Trouble = &t
	}
	return nil
}
