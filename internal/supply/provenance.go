package supply

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// ProvenanceType is the predicate type of SLSA's provenance, version 1.
const ProvenanceType = "https://slsa.dev/provenance/v1"

// maxParameters is how many external parameters and dependencies a provenance may have.
const maxParameters = 10000

// Build is how an artifact was built, as a builder says.
type Build struct {
	Builder      string                     `json:"builder" doc:"who built it, a URI"`
	Type         string                     `json:"type" doc:"how, a URI"`
	Source       string                     `json:"source,omitempty" doc:"the repository that it was built from"`
	Commit       string                     `json:"commit,omitempty" doc:"the commit that it was built from"`
	Parameters   map[string]json.RawMessage `json:"parameters,omitempty" doc:"what whoever started the build could choose"`
	Invocation   string                     `json:"invocation,omitempty" doc:"the run that built it"`
	Started      time.Time                  `json:"started,omitzero"`
	Finished     time.Time                  `json:"finished,omitzero"`
	Dependencies int                        `json:"dependencies,omitempty" doc:"how many inputs it names"`
}

// predicate is what is read of SLSA's provenance.
type predicate struct {
	BuildDefinition struct {
		BuildType            string                     `json:"buildType"`
		ExternalParameters   map[string]json.RawMessage `json:"externalParameters"`
		ResolvedDependencies []struct {
			URI    string            `json:"uri"`
			Digest map[string]string `json:"digest"`
		} `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		Metadata struct {
			InvocationID string    `json:"invocationId"`
			StartedOn    time.Time `json:"startedOn"`
			FinishedOn   time.Time `json:"finishedOn"`
		} `json:"metadata"`
	} `json:"runDetails"`
}

// ReadBuild reads the provenance in a statement.
func ReadBuild(s Statement) (Build, error) {
	if s.PredicateType != ProvenanceType {
		return Build{}, errs.E(errs.Invalid, "predicate of type %.80q, expected %s", s.PredicateType, ProvenanceType)
	}
	var p predicate
	if err := decodeOne(s.Predicate, &p); err != nil {
		return Build{}, errs.E(errs.Invalid, "expected SLSA provenance: %v", err)
	}
	def, run := p.BuildDefinition, p.RunDetails
	switch {
	case run.Builder.ID == "":
		return Build{}, errs.E(errs.Invalid, "the provenance names no builder")
	case def.BuildType == "":
		return Build{}, errs.E(errs.Invalid, "the provenance names no build type")
	case len(def.ExternalParameters) > maxParameters || len(def.ResolvedDependencies) > maxParameters:
		return Build{}, errs.E(errs.Invalid, "the provenance has more than %d parameters or dependencies", maxParameters)
	}
	b := Build{Builder: run.Builder.ID, Type: def.BuildType, Parameters: def.ExternalParameters, Invocation: run.Metadata.InvocationID,
		Started: run.Metadata.StartedOn.UTC(), Finished: run.Metadata.FinishedOn.UTC(), Dependencies: len(def.ResolvedDependencies)}
	b.Source, _ = sourceIn(def.ExternalParameters)
	for _, d := range def.ResolvedDependencies {
		if commit := d.Digest["gitCommit"]; commit != "" && (b.Source == "" || repository(d.URI) == b.Source) {
			b.Commit = commit
			break
		}
	}
	return b, nil
}

// sourceIn is the repository among external parameters, in the places where build types put it, and the parameter that has it.
func sourceIn(parameters map[string]json.RawMessage) (source, parameter string) {
	for _, at := range []struct{ parameter, field string }{{"workflow", "repository"}, {"source", "uri"}, {"source", ""}, {"repository", ""}} {
		raw, there := parameters[at.parameter]
		if !there {
			continue
		}
		if at.field != "" {
			var object map[string]json.RawMessage
			if json.Unmarshal(raw, &object) != nil {
				continue
			}
			raw = object[at.field]
		}
		var text string
		if json.Unmarshal(raw, &text) == nil && text != "" {
			return repository(text), at.parameter
		}
	}
	return "", ""
}

// repository is a repository's address without how it is fetched and which commit of it.
func repository(uri string) string {
	uri = strings.TrimPrefix(uri, "git+")
	if i := strings.Index(uri, "://"); i >= 0 { // an @ before the host is of who fetches
		if at := strings.LastIndexByte(uri, '@'); at > i && strings.Contains(uri[i+3:at], "/") {
			uri = uri[:at]
		}
	}
	return strings.TrimSuffix(strings.TrimSuffix(uri, "/"), ".git")
}

// Builder is a builder that is known, and how well it keeps builds apart from those who start them.
type Builder struct {
	ID     string `json:"id" maxLength:"2000" doc:"its URI, as provenance names it"`
	Signer string `json:"signer" maxLength:"63" doc:"who signs for it"`
	Level  int    `json:"level" minimum:"1" maximum:"3" doc:"highest build level of SLSA that it is trusted with"`
}

// Expected is what a build has to be.
type Expected struct {
	Level      int                        `json:"level,omitempty" minimum:"1" maximum:"3" doc:"build level of SLSA, by what builders are trusted with; a builder that is not listed has level 1; default 1"`
	Types      []string                   `json:"types,omitempty" maxItems:"20" doc:"one of these build types; default any"`
	Sources    []string                   `json:"sources,omitempty" maxItems:"100" doc:"from one of these repositories, such as https://github.com/acme/shop; default any"`
	Parameters map[string]json.RawMessage `json:"parameters,omitempty" maxProperties:"100" doc:"what each external parameter has to be, in JSON: a text may end with * for any rest; one that is not listed here is refused, but for the one that names the source"`
}

// Check holds a build against what is expected, and says in words what is not so, nothing when all is. The signer is who signed the provenance.
func (e Expected) Check(b Build, signer string, builders []Builder) (level int, wrong []string) {
	level = 1
	for _, known := range builders {
		if known.ID == b.Builder && known.Signer == signer {
			level = max(level, known.Level)
		}
	}
	if want := max(1, e.Level); level < want {
		wrong = append(wrong, fmt.Sprintf("it was built by %q, signed by %s, which is trusted with level %d; level %d is demanded", b.Builder, signer, level, want))
	}
	if len(e.Types) > 0 && !slices.Contains(e.Types, b.Type) {
		wrong = append(wrong, fmt.Sprintf("its build type is %q, expected %s", b.Type, strings.Join(e.Types, " or ")))
	}
	known := func(s string) bool { return repository(s) == b.Source }
	if len(e.Sources) > 0 && !slices.ContainsFunc(e.Sources, known) {
		wrong = append(wrong, fmt.Sprintf("it was built from %q, expected %s", b.Source, strings.Join(e.Sources, " or ")))
	}
	return level, append(wrong, e.parameters(b)...)
}

// parameters refuses external parameters that nobody expects: whoever starts a build chooses them.
func (e Expected) parameters(b Build) (wrong []string) {
	_, named := sourceIn(b.Parameters)
	for _, name := range slices.Sorted(maps.Keys(b.Parameters)) {
		want, expected := e.Parameters[name]
		switch {
		case expected && !agree(want, b.Parameters[name]):
			wrong = append(wrong, fmt.Sprintf("its parameter %s is %s, expected %s", name, clip(b.Parameters[name]), clip(want)))
		case expected:
		case name == named && len(e.Sources) > 0 && plain(b.Parameters[name]):
		default:
			wrong = append(wrong, fmt.Sprintf("its parameter %s is not expected: %s", name, clip(b.Parameters[name])))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Parameters)) {
		if _, there := b.Parameters[name]; !there {
			wrong = append(wrong, "it was built without the parameter "+name)
		}
	}
	return wrong
}

// plain is a parameter that holds the source and nothing beside it.
func plain(raw json.RawMessage) bool {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil {
		return true
	}
	_, uri := object["uri"]
	return uri && len(object) == 1
}

// agree compares two values; in what is wanted a text may end with *.
func agree(want, got json.RawMessage) bool {
	var w, g any
	return json.Unmarshal(want, &w) == nil && json.Unmarshal(got, &g) == nil && same(w, g)
}

func same(want, got any) bool {
	switch w := want.(type) {
	case string:
		g, ok := got.(string)
		if prefix, any := strings.CutSuffix(w, "*"); any {
			return ok && strings.HasPrefix(g, prefix)
		}
		return ok && g == w
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for k := range w {
			if v, there := g[k]; !there || !same(w[k], v) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		return ok && slices.EqualFunc(w, g, same)
	default:
		return reflect.DeepEqual(want, got)
	}
}

func clip(raw json.RawMessage) string {
	if len(raw) > 200 {
		return string(raw[:200]) + "…"
	}
	return string(raw)
}
