package ui

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/resource"
)

// setPage is a set of flags, as it is edited as text.
type setPage struct {
	*visit
	Name      string
	New       bool
	Text      string
	Seen      string // what was stored when editing began
	Problems  []string
	Trouble   *trouble
	Checked   string
	Diff      []diffLine
	Asks      []string
	Reason    string
	Flags     []setFlag
	Facts     []fact
	Reviewers []fact

	stored resource.Resource
}

// setFlag is one of a set's flags.
type setFlag struct{ Key, Link string }

// freshSet is a set to begin with.
const freshSet = `{"environments":["production","staging"],"flags":{"new-checkout":{"state":"ENABLED","kind":"release","variants":{"off":false,"on":true},"defaultVariant":"off"}}}`

// newSet leads to the editor of a set that is not there yet.
func (s *Server) newSet(w http.ResponseWriter, r *http.Request, _ *visit) error {
	name := strings.TrimSpace(r.URL.Query().Get("name"))
	if !planNameRE.MatchString(name) {
		return errs.E(errs.Invalid, "name: got %.70q, expected lower-case letters, digits and hyphens, at most 63", name)
	}
	http.Redirect(w, r, "/flag-sets/"+url.PathEscape(name), http.StatusSeeOther)
	return nil
}

func (s *Server) storedSet(r *http.Request, v *visit) (*setPage, error) {
	name := r.PathValue("set")
	p := &setPage{visit: v, Name: name, Reason: clip(r.PostFormValue("reason"), maxReason)}
	v.Title = "Flag set " + name
	one, err := s.Catalog.Get(r.Context(), resource.KindFlagSet, name)
	switch {
	case errs.Is(err, errs.Missing) && v.MayChange() && planNameRE.MatchString(name):
		p.New = true
		one = resource.Resource{APIVersion: resource.APIVersion, Kind: resource.KindFlagSet, Metadata: resource.Metadata{Name: name}, Spec: json.RawMessage(freshSet)}
	case err != nil:
		return nil, err
	default:
		p.Seen = digestOf(string(one.Spec))
	}
	p.stored = one
	p.describe()
	text, err := manifest.YAML(one)
	p.Text = string(text)
	return p, err
}

// describe tells of what all flags of the set have in common.
func (p *setPage) describe() {
	doc, _ := flag.Of(p.stored)
	if doc == nil {
		return
	}
	envs := "whatever is asked for"
	if len(doc.Environments) > 0 {
		envs = strings.Join(doc.Environments, ", ")
	}
	p.Facts = []fact{{"Environments", envs}, {"Bucketing", string(doc.Bucketing)}}
	if doc.Service != "" {
		p.Facts = append(p.Facts, fact{"Judged by requests of", doc.Service})
	}
	for env, a := range doc.Reviewers {
		who := "whoever may decide"
		if len(a.From) > 0 {
			need := a.Need
			if need == "" {
				need = "any"
			}
			who = need + " of " + strings.Join(a.From, ", ")
		}
		p.Reviewers = append(p.Reviewers, fact{env, who})
	}
	slices.SortFunc(p.Reviewers, func(a, b fact) int { return strings.Compare(a.Name, b.Name) })
	if p.New {
		return
	}
	for _, key := range doc.Keys() {
		env := flag.Production
		if !doc.HasEnvironment(env) {
			env = doc.Environments[0]
		}
		p.Flags = append(p.Flags, setFlag{key, flagURL(flag.Subject{Set: p.Name, Key: key, Environment: env}, "")})
	}
}

func (s *Server) setEditor(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := s.storedSet(r, v)
	if err != nil {
		return err
	}
	return s.show(w, r, http.StatusOK, "flagset", p)
}

// editSet checks the text, or keeps it.
func (s *Server) editSet(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := s.storedSet(r, v)
	if err != nil {
		return err
	}
	stored := p.Seen
	p.Seen, p.Text = r.PostFormValue("seen"), strings.ReplaceAll(r.PostFormValue("yaml"), "\r\n", "\n")
	save := r.PostFormValue("do") == "save"
	after, ok := p.readSet()
	if ok {
		err = s.checkSet(r, p, after)
	}
	if err == nil && ok && save && len(p.Problems) == 0 {
		if stored != p.Seen {
			err = errs.E(errs.Conflict, "somebody else has changed set %s meanwhile", p.Name).Next("Copy your text, then load the page again to see theirs.")
		} else {
			var to string
			if to, err = s.saveSet(r, p, after); err == nil {
				return s.lead(w, r, to)
			}
		}
	}
	status := http.StatusOK
	var list resource.Problems
	switch {
	case errors.As(err, &list):
		for _, one := range list {
			p.Problems = append(p.Problems, sentenceCase(one.Text()))
		}
		status = http.StatusUnprocessableEntity
	case errs.Is(err, errs.Internal):
		return err
	case err != nil:
		t := s.troubleOf(r, err)
		p.Trouble, status = &t, t.Status
	case len(p.Problems) > 0:
		status = http.StatusUnprocessableEntity
	case len(p.Diff) == 0:
		p.Checked = "It is as it was: there is nothing to save."
	default:
		p.Checked = "Nothing is wrong with it. It is not saved yet."
	}
	return s.show(w, r, status, "flagset", p)
}

// readSet takes the set from its text; what is wrong is said with its line.
func (p *setPage) readSet() (resource.Resource, bool) {
	set, problems := manifest.Read([]manifest.Source{{Name: "text", Data: []byte(p.Text)}})
	for _, one := range problems {
		p.Problems = append(p.Problems, fmt.Sprintf("Line %d: %s", one.Line, resource.Problem{Path: one.Field, Msg: one.Msg, Expected: one.Expected}.Text()))
	}
	switch {
	case len(problems) > 0:
	case len(set.Resources) != 1 || set.Resources[0].Kind != resource.KindFlagSet || set.Resources[0].Metadata.Name != p.Name:
		p.Problems = []string{"Expected one FlagSet with the name " + p.Name + "."}
	default:
		return set.Resources[0], true
	}
	return resource.Resource{}, false
}

func (s *Server) checkSet(r *http.Request, p *setPage, after resource.Resource) error {
	old, _ := flag.Of(p.stored)
	now, problems := flag.Of(after)
	if err := resource.Refuse(problems); err != nil {
		return err
	}
	if old != nil && !p.New {
		p.Asks = flag.Reviewed(old, now)
	}
	if len(p.Asks) == 0 { // else it is judged when it is applied
		if _, err := s.Plans.Apply(r.Context(), p.Who.Actor(), p.Now, []resource.Resource{after}, true); err != nil {
			return err
		}
	}
	tree, err := treeOf(after.Spec)
	if err != nil {
		return err
	}
	if after.Spec, err = json.Marshal(tree); err != nil {
		return err
	}
	p.Diff, err = diffSets(p.stored, after, p.New)
	return err
}

func (s *Server) saveSet(r *http.Request, p *setPage, after resource.Resource) (string, error) {
	here := "/flag-sets/" + url.PathEscape(p.Name)
	if len(p.Asks) == 0 {
		_, err := s.Plans.Apply(r.Context(), p.Who.Actor(), p.Now, []resource.Resource{after}, false)
		return here, err
	}
	out, err := s.Board.Propose(r.Context(), p.Who.Actor(), after, p.Reason, p.Now)
	if err == nil && out.Request != nil {
		return "/change-requests#" + out.Request.ID, nil
	}
	return here, err
}
