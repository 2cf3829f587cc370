package osv

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/sbom"
)

// MaxEntry is the largest entry of a database.
const MaxEntry = 8 << 20

// Severity is how bad a vulnerability is.
type Severity int

// The severities. Unknown is the highest, as it may be any.
const (
	None Severity = iota
	Low
	Medium
	High
	Critical
	Unknown
)

var severities = []string{"none", "low", "medium", "high", "critical", "unknown"}

func (s Severity) String() string { return severities[s] }

// ParseSeverity reads a severity's name; MODERATE is GitHub's word for medium.
func ParseSeverity(s string) (Severity, bool) {
	s = strings.ToLower(s)
	if s == "moderate" {
		s = "medium"
	}
	i := slices.Index(severities, s)
	return Severity(max(i, 0)), i >= 0
}

// MarshalText writes the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a severity's name.
func (s *Severity) UnmarshalText(text []byte) error {
	v, ok := ParseSeverity(string(text))
	if !ok {
		return errs.E(errs.Invalid, "severity %.40q: expected one of %s", text, strings.Join(severities, ", "))
	}
	*s = v
	return nil
}

// Entry is one vulnerability.
type Entry struct {
	ID       string
	Aliases  []string
	Summary  string
	Modified time.Time
	Severity Severity
	Affected []Affected
}

// Affected says which versions of a package have it.
type Affected struct {
	Ecosystem string   `json:"e"`
	Name      string   `json:"n"`
	Versions  []string `json:"v,omitempty"`
	Ranges    []Range  `json:"r,omitempty"`
	Severity  Severity `json:"-"`
}

// Range is a list of versions at which it came and went.
type Range struct {
	Type   string  `json:"t"`
	Events []Event `json:"s"`
}

// Event is one such version; one of its fields is set.
type Event struct {
	Introduced   string `json:"introduced,omitempty"`
	Fixed        string `json:"fixed,omitempty"`
	LastAffected string `json:"last_affected,omitempty"`
	Limit        string `json:"limit,omitempty"`
}

type raw struct {
	ID        string     `json:"id"`
	Aliases   []string   `json:"aliases"`
	Summary   string     `json:"summary"`
	Details   string     `json:"details"`
	Modified  time.Time  `json:"modified"`
	Withdrawn *time.Time `json:"withdrawn"`
	Severity  []score    `json:"severity"`
	Specific  specific   `json:"database_specific"`
	Affected  []struct {
		Package struct {
			Ecosystem string `json:"ecosystem"`
			Name      string `json:"name"`
		} `json:"package"`
		Ranges []struct {
			Type   string  `json:"type"`
			Events []Event `json:"events"`
		} `json:"ranges"`
		Versions  []string `json:"versions"`
		Severity  []score  `json:"severity"`
		Ecosystem specific `json:"ecosystem_specific"`
		Database  specific `json:"database_specific"`
	} `json:"affected"`
}

type score struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

// specific is what databases add; only a severity in words is read of it.
type specific struct{ word string }

func (s *specific) UnmarshalJSON(b []byte) error {
	var m struct {
		Severity any `json:"severity"`
	}
	if json.Unmarshal(b, &m) == nil {
		s.word, _ = m.Severity.(string)
	}
	return nil
}

// Read reads an entry; nil when it was withdrawn or concerns no package.
func Read(b []byte) (*Entry, error) {
	if len(b) > MaxEntry {
		return nil, errs.E(errs.Invalid, "an entry has more than %d MiB", MaxEntry>>20)
	}
	var r raw
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, errs.E(errs.Invalid, "expected an entry of OSV: %v", err)
	}
	if r.ID == "" || len(r.ID) > 200 {
		return nil, errs.E(errs.Invalid, "expected an entry of OSV, with an id")
	}
	if r.Withdrawn != nil {
		return nil, nil
	}
	e := &Entry{ID: r.ID, Aliases: r.Aliases, Summary: firstOf(r.Summary, r.Details), Modified: r.Modified.UTC(), Severity: severityOf(r.Specific.word, r.Severity)}
	for _, a := range r.Affected {
		if a.Package.Name == "" {
			continue
		}
		one := Affected{Ecosystem: a.Package.Ecosystem, Name: a.Package.Name, Versions: a.Versions, Severity: severityOf(firstOf(a.Ecosystem.word, a.Database.word), a.Severity)}
		for _, g := range a.Ranges {
			if g.Type != "GIT" {
				one.Ranges = append(one.Ranges, Range(g))
			}
		}
		if e.Severity == Unknown && one.Severity != Unknown {
			e.Severity = one.Severity
		}
		e.Affected = append(e.Affected, one)
	}
	if len(e.Affected) == 0 {
		return nil, nil
	}
	return e, nil
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			line, _, _ := strings.Cut(s, "\n")
			if len(line) > 300 {
				line = strings.ToValidUTF8(line[:300], "") + "…"
			}
			return line
		}
	}
	return ""
}

// severityOf is the severity in words, else the worst of the vectors that are understood.
func severityOf(word string, scores []score) Severity {
	if s, ok := ParseSeverity(word); ok && word != "" {
		return s
	}
	worst, found := None, false
	for _, s := range scores {
		if points, ok := CVSS3(s.Score); ok {
			worst, found = max(worst, rated(points)), true
		}
	}
	if !found {
		return Unknown
	}
	return worst
}

func rated(points float64) Severity {
	switch {
	case points >= 9:
		return Critical
	case points >= 7:
		return High
	case points >= 4:
		return Medium
	case points > 0:
		return Low
	}
	return None
}

// ecosystems are those of package URLs' types.
var ecosystems = map[string]string{"golang": "Go", "npm": "npm", "cargo": "crates.io", "pypi": "PyPI", "maven": "Maven", "nuget": "NuGet", "gem": "RubyGems",
	"composer": "Packagist", "hex": "Hex", "pub": "Pub", "swift": "SwiftURL", "githubactions": "GitHub Actions", "deb": "Debian", "apk": "Alpine", "hackage": "Hackage", "cran": "CRAN"}

// Named is a package as databases name it.
type Named struct{ Ecosystem, Name, Version string }

// NameOf is what databases call the package of a component; false when it names none that they know.
func NameOf(c sbom.Component) (Named, bool) {
	p, ok := sbom.ParsePURL(c.PURL)
	if !ok {
		return Named{}, false
	}
	n := Named{Ecosystem: ecosystems[p.Type], Name: p.Name, Version: p.Version}
	if n.Version == "" {
		n.Version = c.Version
	}
	switch {
	case n.Ecosystem == "":
		return n, false
	case p.Type == "maven":
		n.Name = p.Namespace + ":" + p.Name
	case p.Type == "deb":
		if p.Namespace == "ubuntu" {
			n.Ecosystem = "Ubuntu"
		}
	case p.Type == "pypi":
		n.Name = strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(p.Name))
	case p.Namespace != "" && p.Type != "apk":
		n.Name = p.Namespace + "/" + p.Name
	}
	return n, n.Version != ""
}

// Family is the ecosystem without its release, as in Debian:12.
func Family(ecosystem string) string {
	family, _, _ := strings.Cut(ecosystem, ":")
	return family
}
