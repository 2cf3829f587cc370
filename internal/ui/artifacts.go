package ui

import (
	"context"
	"net/http"
	"strings"

	"github.com/ringfence/ringfence/internal/admission"
	"github.com/ringfence/ringfence/internal/osv"
	"github.com/ringfence/ringfence/internal/sbom"
	"github.com/ringfence/ringfence/internal/vetting"
)

// Vetting keeps the evidence of artifacts.
type Vetting interface {
	Show(ctx context.Context, digest string) (vetting.Facts, error)
	Components(ctx context.Context, digest string) ([]sbom.Component, error)
}

// mostComponents is how many components a page shows.
const mostComponents = 200

type artifactPage struct {
	*visit
	vetting.Facts
	Search string
	Found  []sbom.Component
	More   int
	Admits bool // everything that is demanded is proven
	Worst  string
}

// artifact shows what is known of an artifact.
func (s *Server) artifact(w http.ResponseWriter, r *http.Request, v *visit) error {
	digest := r.PathValue("digest")
	facts, err := s.Vetting.Show(r.Context(), digest)
	if err != nil {
		return err
	}
	p := &artifactPage{visit: v, Facts: facts, Search: clip(r.URL.Query().Get("q"), 200), Admits: true}
	all, err := s.Vetting.Components(r.Context(), digest)
	if err != nil {
		return err
	}
	found := sbom.Search(all, p.Search)
	p.Found = found[:min(len(found), mostComponents)]
	p.More = len(found) - len(p.Found)
	for _, policy := range facts.Policies {
		for _, d := range policy.Decisions {
			p.Admits = p.Admits && d.Admitted
		}
	}
	if len(facts.Findings) > 0 {
		p.Worst = facts.Findings[0].Severity.String()
	}
	v.Title = "artifact " + clip(strings.TrimPrefix(digest, "sha256:"), 12)
	return s.show(w, r, http.StatusOK, "artifact", p)
}

// Says is what a piece of evidence is, in words.
func (p *artifactPage) Says(predicateType string) string {
	switch {
	case predicateType == "":
		return "signature of the artifact"
	case predicateType == "https://slsa.dev/provenance/v1":
		return "how it was built (SLSA)"
	case predicateType == admission.TestType:
		return "test result"
	case sbom.Is(predicateType):
		return "what it is made of"
	}
	return predicateType
}

// Tone is the tone of a severity.
func (p *artifactPage) Tone(s osv.Severity) string {
	switch {
	case s >= osv.High:
		return "fail"
	case s >= osv.Medium:
		return "hold"
	}
	return "wait"
}
