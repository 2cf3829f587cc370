package alert

import (
	"cmp"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/ringfence/ringfence/internal/errs"
)

// Facts are what is declared of a service.
type Facts struct {
	Owner, Runbook, Impact string
	DependsOn              []string
}

// Filled names owner, runbook and impact where the alert does not, and a severity when it has none. What it says itself
// stays; added are the labels that are new.
func (a Alert) Filled(f Facts) (filled Alert, added []string) {
	labels, notes := maps.Clone(a.Labels), maps.Clone(a.Annotations)
	if labels == nil {
		labels = map[string]string{}
	}
	if notes == nil {
		notes = map[string]string{}
	}
	for _, l := range [][2]string{{Severity, Ticket}, {Owner, f.Owner}} {
		if labels[l[0]] == "" && l[1] != "" {
			labels[l[0]] = l[1]
			added = append(added, l[0])
		}
	}
	fill(notes, Runbook, cmp.Or(f.Runbook, notes[DefaultRunbook]))
	fill(notes, Impact, cmp.Or(f.Impact, notes[DefaultImpact]))
	delete(notes, DefaultRunbook)
	delete(notes, DefaultImpact)
	a.Labels, a.Annotations = labels, notes
	return a, added
}

func fill(m map[string]string, key, value string) {
	if v := cmp.Or(m[key], value); v != "" {
		m[key] = v
	}
}

// Grade is a severity in the words used here, whatever words others use: page, ticket or info.
func Grade(s string) string {
	switch strings.ToLower(s) {
	case Paging, "critical", "emergency", "fatal", "disaster":
		return Paging
	case Info, "information", "informational", "none", "debug", "notice":
		return Info
	}
	return Ticket
}

// infoWords are those that Grade takes for info.
const infoWords = "(?i)info|information|informational|none|debug|notice"

// Limits of one alert.
const (
	mostLabels = 64
	longest    = 4096
)

// Check says why something is no alert.
func (a Alert) Check() error {
	if len(a.Labels) == 0 {
		return errs.E(errs.Invalid, "an alert needs at least one label")
	}
	for what, set := range map[string]map[string]string{"label": a.Labels, "annotation": a.Annotations} {
		if len(set) > mostLabels {
			return errs.E(errs.Invalid, "an alert has %d %ss, expected at most %d", len(set), what, mostLabels)
		}
		for k, v := range set {
			if !ValidName(k) {
				return errs.E(errs.Invalid, "%s %q is no name: expected UTF-8 of 1 to 256 bytes", what, clip(k))
			}
			if len(v) > longest || !utf8.ValidString(v) {
				return errs.E(errs.Invalid, "%s %s: expected at most %d bytes of UTF-8", what, k, longest)
			}
		}
	}
	if !a.StartsAt.IsZero() && !a.EndsAt.IsZero() && a.StartsAt.After(a.EndsAt) {
		return errs.E(errs.Invalid, "start time must be before end time")
	}
	return nil
}

// ValidName says whether a label may be called so, as Prometheus and Alertmanager see it today.
func ValidName(s string) bool { return s != "" && len(s) <= 256 && utf8.ValidString(s) }

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
