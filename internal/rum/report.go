package rum

import (
	_ "embed" // the script
	"encoding/json"
	"errors"
	"math"
	"path"
	"regexp"
	"strings"
	"unicode"
)

//go:embed rum.js
var script []byte

// Limits of a report.
const (
	maxReport = 16 << 10
	maxErrors = 10
	maxEvents = 20
	maxFlags  = 20
	maxText   = 200
	maxName   = 64
	maxCount  = 1000
	maxMillis = 120_000
	maxShift  = 100
)

// report is what a page tells.
type report struct {
	Page    string             `json:"p"`
	Version string             `json:"v"`
	Ring    string             `json:"r"`
	Flags   map[string]string  `json:"f"`
	First   int                `json:"n"` // 1: it is the first of this view of the page
	Vitals  map[string]float64 `json:"m"` // in milliseconds, but for cls
	Errors  []pageError        `json:"e"`
	Events  []pageEvent        `json:"c"`
}

type pageError struct {
	Kind    string `json:"k"`
	Message string `json:"m"`
	Source  string `json:"s"`
	Count   int    `json:"n"`
}

type pageEvent struct {
	Name  string   `json:"n"`
	Value *float64 `json:"x"`
}

var (
	errReport = errors.New("no report")
	eventRE   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.:-]{0,63}$`)
	mailRE    = regexp.MustCompile(`[^\s@<>"']+@[^\s@<>"']+\.[A-Za-z]{2,}`)
	numberRE  = regexp.MustCompile(`\d{5,}`)
	idRE      = regexp.MustCompile(`^(\d+|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|[0-9a-fA-F]{12,}|[A-Za-z0-9_-]*\d[A-Za-z0-9_-]{15,}|.{40,})$`)
)

var (
	vitalNames = []string{"lcp", "fcp", "ttfb", "inp", "cls"}
	errorKinds = []string{"error", "rejection", "caught"}
)

// read reads a report. What is too much or makes no sense in it is left out; only what is no report at all is an error.
func read(body []byte) (report, error) {
	var r report
	if err := json.Unmarshal(body, &r); err != nil || !strings.HasPrefix(r.Page, "/") {
		return r, errReport
	}
	r.Errors, r.Events = r.Errors[:min(len(r.Errors), maxErrors)], r.Events[:min(len(r.Events), maxEvents)]
	for i := range r.Errors {
		e := &r.Errors[i]
		e.Message, e.Source = without(e.Message), without(e.Source)
		e.Count = max(1, min(e.Count, maxCount))
	}
	for name, v := range r.Vitals {
		most := float64(maxMillis)
		if name == "cls" {
			most = maxShift
		}
		if math.IsNaN(v) || v < 0 || v > most {
			delete(r.Vitals, name)
		}
	}
	return r, nil
}

// without is a text of a page on one line, cut, without what may say who somebody is.
func without(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = mailRE.ReplaceAllString(s, "(address)")
	s = numberRE.ReplaceAllString(s, "(number)")
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}

// other is the page of those that are too many.
const other = "(other)"

// template is the page that a path is one of: the first pattern that matches, else the path with {id} for what looks like one.
func template(patterns []string, p string) string {
	p, _, _ = strings.Cut(p, "?")
	p, _, _ = strings.Cut(p, "#")
	p = path.Clean("/" + strings.TrimPrefix(p, "/"))
	parts := strings.Split(p, "/")
	for _, pattern := range patterns {
		if covers(strings.Split(pattern, "/"), parts) {
			return pattern
		}
	}
	if len(parts) > 8 {
		return other
	}
	for i, part := range parts {
		if idRE.MatchString(part) {
			parts[i] = "{id}"
		}
	}
	t := strings.Join(parts, "/")
	if len(t) > 100 || strings.ContainsFunc(t, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return other
	}
	return t
}

// covers reports whether a pattern such as /product/{id} or /help/* covers a path.
func covers(pattern, parts []string) bool {
	for i, want := range pattern {
		if want == "*" && i == len(pattern)-1 {
			return true
		}
		if i >= len(parts) || want != parts[i] && !(strings.HasPrefix(want, "{") && strings.HasSuffix(want, "}") && parts[i] != "") {
			return false
		}
	}
	return len(pattern) == len(parts)
}
