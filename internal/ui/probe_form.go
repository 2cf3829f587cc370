package ui

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/resource"
)

// maxSteps is how many requests a probe may make.
const maxSteps = 20

// probeEdit is a probe as it is edited: usual settings as fields, all of it as text.
type probeEdit struct {
	*visit
	Name     string
	New      bool
	Fields   []shownField
	Requests []rowView // of http one, of steps several
	Several  bool
	Base     string // the probe as JSON, which holds what no field shows
	Seen     string // what was stored when editing began
	YAML     string
	Wrote    string // tells whether the text was edited
	Problems []string
	Trouble  *trouble
	Checked  string

	spec     resource.Probe
	meta     resource.Metadata
	told     map[string]string
	services []string
}

// Told is the problem of a field that is no row's.
func (p *probeEdit) Told(key string) string { return p.told[key] }

// newProbe leads to the editor of a probe that is not there yet.
func (s *Server) newProbe(w http.ResponseWriter, r *http.Request, _ *visit) error {
	name := strings.TrimSpace(r.URL.Query().Get("name"))
	if !planNameRE.MatchString(name) {
		return errs.E(errs.Invalid, "name: got %.70q, expected lower-case letters, digits and hyphens, at most 63", name)
	}
	http.Redirect(w, r, "/probes/"+name+"/edit", http.StatusSeeOther)
	return nil
}

// storedProbe is a probe as it is declared, or one to begin with.
func (s *Server) storedProbe(r *http.Request, v *visit) (*probeEdit, error) {
	p := &probeEdit{visit: v, Name: r.PathValue("probe"), told: map[string]string{}}
	p.meta.Name, v.Title = p.Name, "Edit probe "+p.Name
	var err error
	if p.services, err = s.serviceNames(r.Context()); err != nil {
		return nil, err
	}
	one, err := s.Catalog.Get(r.Context(), resource.KindProbe, p.Name)
	switch {
	case errs.Is(err, errs.Missing) && planNameRE.MatchString(p.Name):
		p.New = true
		p.spec = resource.Probe{Service: firstOf(p.services...), Every: fleet.Dur(30 * time.Second), HTTP: &resource.ProbeRequest{Path: "/"}}
		return p, nil
	case err != nil:
		return nil, err
	}
	p.meta, p.Seen = one.Metadata, digestOf(string(one.Spec))
	p.spec, err = resource.As[resource.Probe](one)
	return p, err
}

func (s *Server) probeEditor(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := s.storedProbe(r, v)
	if err != nil {
		return err
	}
	p.fields(nil)
	return s.showProbe(w, r, p, http.StatusOK)
}

// editProbe takes the form of the editor: steps that come and go, a check, or what is to be kept.
func (s *Server) editProbe(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := s.storedProbe(r, v)
	if err != nil {
		return err
	}
	stored := p.Seen
	p.Seen = r.PostFormValue("seen")
	if !p.read(r) {
		return s.showProbe(w, r, p, http.StatusUnprocessableEntity)
	}
	do, at, _ := strings.Cut(r.PostFormValue("do"), ":")
	i, _ := strconv.Atoi(at)
	if p.changeSteps(do, i) {
		return s.showProbe(w, r, p, http.StatusOK)
	}
	set, err := p.resource()
	if err != nil {
		return err
	}
	if do == "save" && stored != p.Seen {
		err = errs.E(errs.Conflict, "somebody else has changed probe %s meanwhile", p.Name).Next("Load the page again to see theirs; yours is in the text beside the fields.")
	}
	if err == nil && len(p.told) == 0 {
		_, err = s.Plans.Apply(r.Context(), v.Who.Actor(), v.Now, []resource.Resource{set}, true)
	}
	if err == nil && len(p.told) == 0 && do == "save" {
		if _, err = s.Plans.Apply(r.Context(), v.Who.Actor(), v.Now, []resource.Resource{set}, false); err == nil {
			return s.lead(w, r, "/probes/"+p.Name)
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
		status = http.StatusUnprocessableEntity
	default:
		p.Checked = "Nothing is wrong with it. It is not saved yet."
	}
	return s.showProbe(w, r, p, status)
}

// refused puts what the catalog says where it belongs.
func (p *probeEdit) refused(s *Server, r *http.Request, err error) error {
	var list resource.Problems
	switch {
	case errors.As(err, &list):
		p.Problems = append(p.Problems, placeProbe(list, probeFields(p.services), p.told)...)
	case errs.Is(err, errs.Internal):
		return err
	default:
		t := s.troubleOf(r, err)
		p.Trouble = &t
	}
	return nil
}

// read takes the probe from the text when that was edited, else from the fields. It reports whether there is one.
func (p *probeEdit) read(r *http.Request) bool {
	if text, edited := editedText(r); edited {
		return p.readText(text)
	}
	var base resource.Probe
	if err := json.Unmarshal([]byte(r.PostFormValue("base")), &base); err == nil {
		p.spec = base
	}
	p.fields(given(r))
	return true
}

func (p *probeEdit) readText(text string) bool {
	spec, meta, problems := specOf[resource.Probe](text, resource.KindProbe, p.Name)
	if len(problems) > 0 {
		p.Problems = append(p.Problems, problems...)
		p.fields(nil)
		p.told["yaml"], p.YAML = "It is not used as long as it cannot be read.", text
		return false
	}
	p.spec, p.meta = spec, meta
	p.fields(nil)
	return true
}

// changeSteps adds and removes requests; it reports whether do is one of these.
func (p *probeEdit) changeSteps(do string, i int) bool {
	steps := slices.Clone(p.spec.Steps)
	switch {
	case do == "step-add" && len(steps) < maxSteps:
		steps = append(steps, resource.ProbeRequest{Path: "/"})
	case do == "step-remove" && i >= 0 && i < len(steps) && len(steps) > 1:
		steps = slices.Delete(steps, i, i+1)
	default:
		return false
	}
	p.spec.Steps, p.told, p.Fields, p.Requests = steps, map[string]string{}, nil, nil
	p.fields(nil)
	return true
}

// fields makes the form, from what was posted when there is anything.
func (p *probeEdit) fields(posted func(string) (string, bool)) {
	kept := map[string]string{} // what cannot be read stays as it was typed
	keep := func(all []shownField) {
		for _, f := range all {
			kept[f.ID] = f.Value
		}
	}
	keep(p.Fields)
	for _, row := range p.Requests {
		keep(row.Fields)
	}
	back := func(all []shownField) []shownField {
		for i, f := range all {
			if text, was := kept[f.ID]; was && f.Problem != "" && posted == nil {
				all[i].Value = text
			}
		}
		return all
	}
	before := wayOf(&p.spec)
	p.Fields = back(formOf(probeFields(p.services), &p.spec, wayOf, "", posted, p.told))
	if a := p.spec.Alert; a != nil && *a == (resource.ProbeAlert{}) {
		p.spec.Alert = nil
	}
	if wayOf(&p.spec) != before { // its requests were not in the form, or stand in it as they were
		posted = nil
	}
	none := func(*resource.ProbeRequest) string { return "" }
	row := func(i, n int, q *resource.ProbeRequest) rowView {
		fields := back(formOf(requestFields, q, none, requestAt(i), posted, p.told))
		return rowView{Index: i, Name: q.Label(), First: i == 0, Last: i == n-1, Fields: fields}
	}
	p.Requests, p.Several = nil, p.spec.HTTP == nil && len(p.spec.Steps) > 0
	if p.spec.HTTP != nil {
		p.Requests = append(p.Requests, row(0, 1, p.spec.HTTP))
	}
	for i := range p.spec.Steps {
		p.Requests = append(p.Requests, row(i, len(p.spec.Steps), &p.spec.Steps[i]))
	}
}

func (p *probeEdit) resource() (resource.Resource, error) {
	set, err := resource.New(p.Name, p.spec)
	set.Metadata = p.meta
	return set, err
}

// showProbe draws the editor as the probe is now.
func (s *Server) showProbe(w http.ResponseWriter, r *http.Request, p *probeEdit, status int) error {
	raw, err := json.Marshal(p.spec)
	if err != nil {
		return err
	}
	p.Base = string(raw)
	set, err := p.resource()
	if err != nil {
		return err
	}
	text, err := manifest.YAML(set)
	if err != nil {
		return err
	}
	if p.Wrote = digestOf(string(text)); p.YAML == "" {
		p.YAML = string(text)
	}
	return s.show(w, r, status, "probeedit", p)
}
