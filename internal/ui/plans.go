package ui

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/resource"
)

// maxPlanForm bounds the form of the plan editor, which holds the plan twice.
const maxPlanForm = 1 << 20

type planRow struct {
	Name, Link string
	Rings      []ringView
	Art        art
	Gates      int
	Services   []string
}

type plansPage struct {
	*visit
	Plans []planRow
}

func (s *Server) plans(w http.ResponseWriter, r *http.Request, v *visit) error {
	v.Title = "Plans"
	p := plansPage{visit: v}
	users, err := s.planUsers(r.Context())
	if err != nil {
		return err
	}
	err = s.each(r.Context(), resource.KindRingPlan, func(one resource.Resource) error {
		plan, err := resource.As[resource.RingPlan](one)
		if err != nil {
			return err
		}
		name := one.Metadata.Name
		row := planRow{Name: name, Rings: planRings(plan.Defaults()), Gates: len(plan.Defaults().Gates), Services: users[name]}
		row.Art = draw("plan-"+name, row.Rings, "calm", "", "The rings of plan "+name, false)
		p.Plans = append(p.Plans, row)
		return nil
	})
	if err != nil {
		return err
	}
	return s.show(w, r, http.StatusOK, "plans", p)
}

// planUsers are the services of each plan.
func (s *Server) planUsers(ctx context.Context) (map[string][]string, error) {
	users := map[string][]string{}
	err := s.each(ctx, resource.KindService, func(r resource.Resource) error {
		spec, err := resource.As[resource.Service](r)
		users[spec.Plan] = append(users[spec.Plan], r.Metadata.Name)
		return err
	})
	return users, err
}

func planRings(plan resource.RingPlan) []ringView {
	out := make([]ringView, len(plan.Rings))
	for i, r := range plan.Rings {
		out[i] = ringView{Number: i + 1, Name: r.Name, Purpose: r.Purpose, Risk: r.Risk, Audience: audience(r.Audience), Bake: span(time.Duration(r.Bake)), Look: ringPlan}
	}
	return out
}

// planPage is a plan as it is edited.
type planPage struct {
	*visit
	Name     string
	New      bool
	Services []string
	Rings    []rowView
	Gates    []rowView
	Base     string // the plan as JSON, which holds what no field shows
	Seen     string // what was stored when editing began
	YAML     string
	Wrote    string // tells whether the text was edited
	Art      art
	Problems []string
	Trouble  *trouble
	Saved    string
	Ask      simQuestion
	Sim      *simView

	plan resource.RingPlan
	meta resource.Metadata
	told map[string]string
}

// Told is the problem of a field that is no row's.
func (p *planPage) Told(key string) string { return p.told[key] }

type rowView struct {
	Index       int
	Name        string
	First, Last bool
	Paint       string // of a flag's variant
	Fields      []shownField
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(strings.ReplaceAll(text, "\r\n", "\n")))
	return hex.EncodeToString(sum[:])
}

// stored returns a plan as it is declared, or one to begin with.
func (s *Server) storedPlan(r *http.Request, v *visit) (*planPage, error) {
	name := r.PathValue("plan")
	p := &planPage{visit: v, Name: name, told: map[string]string{}, meta: resource.Metadata{Name: name}}
	v.Title = "Plan " + name
	one, err := s.Catalog.Get(r.Context(), resource.KindRingPlan, name)
	switch {
	case errs.Is(err, errs.Missing) && v.MayChange() && planNameRE.MatchString(name):
		p.New = true
		some := 5.0
		p.plan = resource.RingPlan{Rings: []resource.Ring{{Name: "canary", Audience: resource.Audience{Percent: &some}, Bake: fleet.Dur(day)}, {Name: "all", Bake: fleet.Dur(day)}},
			Gates: []resource.Gate{{Signal: "errors"}}}
		return p, nil
	case err != nil:
		return nil, err
	}
	if p.plan, err = resource.As[resource.RingPlan](one); err != nil {
		return nil, err
	}
	p.meta, p.Seen = one.Metadata, digestOf(string(one.Spec))
	users, err := s.planUsers(r.Context())
	p.Services = users[name]
	return p, err
}

// newPlan leads to the editor of a plan that is not there yet.
func (s *Server) newPlan(w http.ResponseWriter, r *http.Request, _ *visit) error {
	name := r.URL.Query().Get("name")
	if !planNameRE.MatchString(name) {
		return errs.E(errs.Invalid, "name: got %.70q, expected lower-case letters, digits and hyphens, at most 63", name)
	}
	http.Redirect(w, r, "/plans/"+name, http.StatusSeeOther)
	return nil
}

var planNameRE = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (s *Server) planEditor(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := s.storedPlan(r, v)
	if err != nil {
		return err
	}
	p.Ask = askOf(r.URL.Query().Get)
	p.fields(nil)
	return s.showPlan(w, r, p, http.StatusOK)
}

// editPlan takes the form of the editor: rows that change, a check, or what is to be kept.
func (s *Server) editPlan(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := s.storedPlan(r, v)
	if err != nil {
		return err
	}
	stored := p.Seen
	p.Seen, p.Ask = r.PostFormValue("seen"), askOf(r.PostFormValue)
	if !p.read(r) {
		return s.showPlan(w, r, p, http.StatusUnprocessableEntity)
	}
	do, at, _ := strings.Cut(r.PostFormValue("do"), ":")
	i, _ := strconv.Atoi(at)
	if p.change(do, i) {
		p.fields(nil)
		return s.showPlan(w, r, p, http.StatusOK)
	}
	set, err := resource.New(p.Name, p.plan)
	if err != nil {
		return err
	}
	set.Metadata = p.meta
	if do == "save" && stored != p.Seen {
		err = errs.E(errs.Conflict, "somebody else has changed plan %s meanwhile", p.Name).Next("Load the page again to see their plan; yours is in the text beside the rows.")
	}
	if err == nil && len(p.told) == 0 {
		_, err = s.Plans.Apply(r.Context(), v.Who.Actor(), v.Now, []resource.Resource{set}, true)
	}
	if err == nil && len(p.told) == 0 && do == "save" {
		if _, err = s.Plans.Apply(r.Context(), v.Who.Actor(), v.Now, []resource.Resource{set}, false); err == nil {
			return s.savedPlan(w, r, p)
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
		p.Saved = "Nothing is wrong with it. It is not saved yet."
	}
	return s.showPlan(w, r, p, status)
}

func (s *Server) savedPlan(w http.ResponseWriter, r *http.Request, p *planPage) error {
	if !fragment(r) {
		http.Redirect(w, r, "/plans/"+p.Name, http.StatusSeeOther)
		return nil
	}
	fresh, err := s.storedPlan(r, p.visit)
	if err != nil {
		return err
	}
	fresh.Ask, fresh.Saved = p.Ask, "Saved. Rollouts in flight keep the plan that they began with."
	fresh.fields(nil)
	return s.showPlan(w, r, fresh, http.StatusOK)
}

// refused puts what the catalog says where it belongs.
func (p *planPage) refused(s *Server, r *http.Request, err error) error {
	var list resource.Problems
	switch {
	case errors.As(err, &list):
		p.Problems = append(p.Problems, placeProblems(list, p.told)...)
	case errs.Is(err, errs.Internal):
		return err
	default:
		t := s.troubleOf(r, err)
		p.Trouble = &t
	}
	return nil
}

// read takes the plan from the text when that was edited, else from the rows. It reports whether there is one.
func (p *planPage) read(r *http.Request) bool {
	if text, edited := editedText(r); edited {
		return p.readText(text)
	}
	var base resource.RingPlan
	if err := json.Unmarshal([]byte(r.PostFormValue("base")), &base); err == nil {
		p.plan = base
	}
	p.fields(given(r))
	return true
}

func (p *planPage) readText(text string) bool {
	spec, meta, problems := specOf[resource.RingPlan](text, resource.KindRingPlan, p.Name)
	if len(problems) > 0 {
		p.Problems = append(p.Problems, problems...)
		p.fields(nil)
		p.told["yaml"], p.YAML = "It is not used as long as it cannot be read.", text
		return false
	}
	p.plan, p.meta = spec, meta
	p.fields(nil)
	return true
}

// change adds, removes and moves rows; it reports whether do is one of these.
func (p *planPage) change(do string, i int) bool {
	rings, gates := p.plan.Rings, p.plan.Gates
	switch {
	case do == "ring-add" && len(rings) == 0:
		p.plan.Rings = []resource.Ring{{Name: "all"}}
	case do == "ring-add":
		at := len(rings) - 1 // the last one stays the last
		p.plan.Rings = slices.Insert(slices.Clone(rings), at, resource.Ring{Name: "ring-" + strconv.Itoa(at+1), Bake: rings[max(0, at-1)].Bake})
	case do == "gate-add":
		p.plan.Gates = append(slices.Clone(gates), resource.Gate{Signal: "query", Name: "gate-" + strconv.Itoa(len(gates)+1)})
	case do == "ring-remove" && i >= 0 && i < len(rings):
		p.plan.Rings = slices.Delete(slices.Clone(rings), i, i+1)
	case do == "gate-remove" && i >= 0 && i < len(gates):
		p.plan.Gates = slices.Delete(slices.Clone(gates), i, i+1)
	case do == "ring-up" && i > 0 && i < len(rings):
		p.plan.Rings = slices.Clone(rings)
		p.plan.Rings[i-1], p.plan.Rings[i] = rings[i], rings[i-1]
	default:
		return false
	}
	p.told = map[string]string{}
	return true
}

// fields makes the rows, from what was posted when there is anything.
func (p *planPage) fields(posted func(string) (string, bool)) {
	none := func(*ring) string { return "" }
	kept := map[string]string{} // what cannot be read stays as it was typed
	for _, row := range slices.Concat(p.Rings, p.Gates) {
		for _, f := range row.Fields {
			kept[f.ID] = f.Value
		}
	}
	p.Rings, p.Gates = nil, nil
	add := func(fields []shownField, i, n int, name string) rowView {
		for k, f := range fields {
			if text, was := kept[f.ID]; was && f.Problem != "" && posted == nil {
				fields[k].Value = text
			}
		}
		return rowView{Index: i, Name: name, First: i == 0, Last: i == n-1, Fields: fields}
	}
	for i := range p.plan.Rings {
		r := &p.plan.Rings[i]
		p.Rings = append(p.Rings, add(formOf(ringFields, r, none, "ring-"+strconv.Itoa(i)+"-", posted, p.told), i, len(p.plan.Rings), r.Name))
	}
	for i := range p.plan.Gates {
		g := &p.plan.Gates[i]
		fields := formOf(gateFields, g, func(g *gate) string { return g.Signal }, "gate-"+strconv.Itoa(i)+"-", posted, p.told)
		*g = meant(*g)
		p.Gates = append(p.Gates, add(fields, i, len(p.plan.Gates), g.Defaults().Name))
	}
}

// showPlan draws the plan as it is now, with the simulation beside it.
func (s *Server) showPlan(w http.ResponseWriter, r *http.Request, p *planPage, status int) error {
	raw, err := json.Marshal(p.plan)
	if err != nil {
		return err
	}
	p.Base = string(raw)
	set, err := resource.New(p.Name, p.plan)
	if err != nil {
		return err
	}
	set.Metadata = p.meta
	text, err := manifest.YAML(set)
	if err != nil {
		return err
	}
	p.Wrote = digestOf(string(text))
	if p.YAML == "" {
		p.YAML = string(text)
	}
	p.Art = draw("plan", planRings(p.plan.Defaults()), "calm", "", "The rings of plan "+p.Name+", from the innermost", true)
	p.Sim = s.tryPlan(r.Context(), p)
	return s.show(w, r, status, "plan", p)
}
