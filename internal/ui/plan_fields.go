package ui

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

// planField is one setting of a ring or gate as it stands in a form: as text.
type planField[T any] struct {
	Key, Label string
	Help       string
	Options    []string // a choice among these; the first is the default
	Check      bool
	Wide       bool
	Path       string // where problems place it; default Key
	For        []string
	get        func(*T) string
	set        func(*T, string) error
}

func textOf[T any](key, label, help string, wide bool, of func(*T) *string) planField[T] {
	return planField[T]{Key: key, Label: label, Help: help, Wide: wide, get: func(t *T) string { return *of(t) },
		set: func(t *T, s string) error { *of(t) = s; return nil }}
}

func checkOf[T any](key, label string, of func(*T) *bool) planField[T] {
	return planField[T]{Key: key, Label: label, Check: true, get: func(t *T) string {
		if *of(t) {
			return "on"
		}
		return ""
	}, set: func(t *T, s string) error { *of(t) = s != ""; return nil }}
}

func spanOf[T any](key, label, help string, of func(*T) *fleet.Dur) planField[T] {
	return planField[T]{Key: key, Label: label, Help: help, get: func(t *T) string {
		if *of(t) == 0 {
			return ""
		}
		return of(t).String()
	}, set: func(t *T, s string) error {
		*of(t) = 0
		if s == "" {
			return nil
		}
		v, err := time.ParseDuration(strings.ReplaceAll(s, " ", ""))
		if err != nil || v < 0 {
			return errs.E(errs.Invalid, "got %.40q, expected a duration such as 30m or 24h", s)
		}
		*of(t) = fleet.Dur(v)
		return nil
	}}
}

func listOf[T any](key, label, help string, of func(*T) *[]string) planField[T] {
	return planField[T]{Key: key, Label: label, Help: help, get: func(t *T) string { return strings.Join(*of(t), ", ") },
		set: func(t *T, s string) error { *of(t) = words(s); return nil }}
}

func words(s string) []string {
	var out []string
	for w := range strings.SplitSeq(s, ",") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

func wholeOf[T any, N int | int64](key, label string, of func(*T) *N) planField[T] {
	return planField[T]{Key: key, Label: label, get: func(t *T) string {
		if *of(t) == 0 {
			return ""
		}
		return strconv.FormatInt(int64(*of(t)), 10)
	}, set: func(t *T, s string) error {
		n, err := strconv.ParseInt(s, 10, 64)
		if s != "" && err != nil {
			return errs.E(errs.Invalid, "got %.40q, expected a whole number", s)
		}
		*of(t) = N(n)
		return nil
	}}
}

func numberOf[T any](key, label, help string, of func(*T) *float64) planField[T] {
	return planField[T]{Key: key, Label: label, Help: help, get: func(t *T) string {
		if *of(t) == 0 {
			return ""
		}
		return strconv.FormatFloat(*of(t), 'g', -1, 64)
	}, set: func(t *T, s string) error {
		n, err := strconv.ParseFloat(s, 64)
		if s != "" && err != nil {
			return errs.E(errs.Invalid, "got %.40q, expected a number", s)
		}
		*of(t) = n
		return nil
	}}
}

func limitOf[T any](key, label string, of func(*T) **float64) planField[T] {
	return planField[T]{Key: key, Label: label, get: func(t *T) string {
		if *of(t) == nil {
			return ""
		}
		return strconv.FormatFloat(**of(t), 'g', -1, 64)
	}, set: func(t *T, s string) error {
		*of(t) = nil
		if s == "" {
			return nil
		}
		n, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return errs.E(errs.Invalid, "got %.40q, expected a number", s)
		}
		*of(t) = &n
		return nil
	}}
}

func choiceOf[T any](key, label string, options []string, of func(*T) *string) planField[T] {
	f := textOf(key, label, "", false, of)
	f.Options = options
	f.get = func(t *T) string {
		if *of(t) == "" {
			return options[0]
		}
		return *of(t)
	}
	set := f.set
	f.set = func(t *T, s string) error {
		if s == options[0] && *of(t) == "" {
			return nil // what was left open stays open
		}
		return set(t, s)
	}
	return f
}

type (
	ring = resource.Ring
	gate = resource.Gate
)

var ringFields = []planField[ring]{
	textOf("name", "Name", "", false, func(r *ring) *string { return &r.Name }),
	{Key: "audience", Label: "Audience", Help: "5%, segment employees, users a, b, tenants …, regions …; empty for everyone", Wide: true, get: func(r *ring) string { return audienceText(r.Audience) },
		set: func(r *ring, s string) (err error) { r.Audience, err = audienceOf(s); return err }},
	listOf("units", "Units", "empty for all", func(r *ring) *[]string { return &r.Units }),
	spanOf("bake", "Bake", "24h", func(r *ring) *fleet.Dur { return &r.Bake }),
	{Key: "approval", Label: "Approval", Options: []string{"none", "any of", "each of", "all of"}, get: func(r *ring) string {
		switch {
		case r.Approval == nil && r.Button == "green":
			return "any of"
		case r.Approval == nil:
			return "none"
		case r.Approval.Need == "":
			return "any of"
		}
		return r.Approval.Need + " of"
	}, set: func(r *ring, s string) error {
		if s == "none" {
			r.Approval, r.Button = nil, ""
			return nil
		}
		if r.Approval == nil {
			r.Approval = &resource.Approval{}
		}
		if need, _ := strings.CutSuffix(s, " of"); need != "any" || r.Approval.Need != "" {
			r.Approval.Need = need
		}
		return nil
	}},
	{Key: "groups", Label: "Groups", Help: "empty for whoever may operate", Path: "approval.from", get: func(r *ring) string {
		if r.Approval == nil {
			return ""
		}
		return strings.Join(r.Approval.From, ", ")
	}, set: func(r *ring, s string) error {
		if r.Approval != nil {
			r.Approval.From = words(s)
		}
		return nil
	}},
	{Key: "hours", Label: "Hours", Help: "mon tue wed 09:00-17:00 Europe/Berlin", Wide: true, get: func(r *ring) string { return hoursWords(r.Hours) },
		set: func(r *ring, s string) (err error) { r.Hours, err = hoursOf(s); return err }},
	wholeOf("minRequests", "Least requests", func(r *ring) *int64 { return &r.MinRequests }),
	checkOf("coverPeak", "covers the peak", func(r *ring) *bool { return &r.CoverPeak }),
	textOf("purpose", "Purpose", "which bugs it is there to find", true, func(r *ring) *string { return &r.Purpose }),
}

var gateSignals = []string{"errors", "latency", "quantile", "query", "series", "webhook", "command", "probe", "alerts"}

var gateFields = func() []planField[gate] {
	of := func(f planField[gate], signals ...string) planField[gate] { f.For = signals; return f }
	wide := func(f planField[gate]) planField[gate] { f.Wide = true; return f }
	at := func(path string, f planField[gate]) planField[gate] { f.Path = path; return f }
	return []planField[gate]{
		choiceOf("signal", "Signal", gateSignals, func(g *gate) *string { return &g.Signal }),
		textOf("name", "Name", "as its signal", false, func(g *gate) *string { return &g.Name }),
		of(spanOf("over", "Slower than", "300ms", func(g *gate) *fleet.Dur { return &g.Over }), "latency"),
		of(numberOf("quantile", "Quantile", "0.99", func(g *gate) *float64 { return &g.Quantile }), "quantile"),
		of(choiceOf("compare", "Compare with", []string{"stable", "none"}, func(g *gate) *string { return &g.Compare }), "errors", "latency", "quantile"),
		of(numberOf("maxRatio", "Largest ratio", "1", func(g *gate) *float64 { return &g.MaxRatio }), "errors", "latency", "quantile"),
		of(numberOf("maxShare", "Largest share", "", func(g *gate) *float64 { return &g.MaxShare }), "errors", "latency"),
		of(wholeOf("minRequests", "Least requests", func(g *gate) *int64 { return &g.MinRequests }), "errors", "latency", "quantile"),
		of(wide(textOf("query", "PromQL", "{service}, {version}, {stable}, {ring}", true, func(g *gate) *string { return &g.Query })), "query"),
		of(limitOf("min", "At least", func(g *gate) **float64 { return &g.Min }), "query"),
		of(limitOf("max", "At most", func(g *gate) **float64 { return &g.Max }), "query", "quantile"),
		of(at("series.canary", textOf("canary", "PromQL of the new version", "", true, func(g *gate) *string { return &need(&g.Series).Canary })), "series"),
		of(at("series.stable", textOf("stable", "PromQL of stable", "", true, func(g *gate) *string { return &need(&g.Series).Stable })), "series"),
		of(at("series.direction", choiceOf("direction", "Harm is", []string{"either", "increase", "decrease"}, func(g *gate) *string { return &need(&g.Series).Direction })), "series"),
		of(at("webhook.url", textOf("webhook", "URL", "gets a signed POST", true, func(g *gate) *string { return &need(&g.Webhook).URL })), "webhook"),
		of(at("webhook.secretFile", textOf("secret", "File with the key", "", false, func(g *gate) *string { return &need(&g.Webhook).SecretFile })), "webhook"),
		of(at("command.name", textOf("command", "Program", "in the folder of commands", false, func(g *gate) *string { return &need(&g.Command).Name })), "command"),
		of(at("probe.name", textOf("probe", "Probe", "its name", false, func(g *gate) *string { return &need(&g.Probe).Name })), "probe"),
		of(at("probe.maxRatio", numberOf("probeRatio", "Times as slow at most", "1.5", func(g *gate) *float64 { return &need(&g.Probe).MaxRatio })), "probe"),
		of(at("probe.path", textOf("path", "or path", "/readyz", false, func(g *gate) *string { return &need(&g.Probe).Path })), "probe"),
		of(at("probe.url", textOf("url", "or URL", "", true, func(g *gate) *string { return &need(&g.Probe).URL })), "probe"),
		of(wholeOf("failures", "Bad ones in a row", func(g *gate) *int { return &g.Failures }), "query", "webhook", "command", "probe", "alerts"),
		listOf("rings", "Rings", "all", func(g *gate) *[]string { return &g.Rings }),
		of(choiceOf("when", "When", []string{"during", "before", "always"}, func(g *gate) *string { return &g.When }), "query", "webhook", "command", "probe", "alerts"),
		choiceOf("noData", "No data means", []string{"hold", "pass", "fail"}, func(g *gate) *string { return &g.NoData }),
		choiceOf("onFail", "Failure means", []string{"rollback", "halt", "hold", "notify"}, func(g *gate) *string { return &g.OnFail }),
		checkOf("informing", "only informs", func(g *gate) *bool { return &g.Informing }),
	}
}()

// need makes a part that is not there yet.
func need[T any](p **T) *T {
	if *p == nil {
		*p = new(T)
	}
	return *p
}

// meant drops what a gate's signal has no use for, so that another signal can be chosen.
func meant(g gate) gate {
	out := gate{Name: g.Name, Signal: g.Signal, Rings: g.Rings, Informing: g.Informing, NoData: g.NoData, OnFail: g.OnFail, Every: g.Every}
	if slices.Contains([]string{"errors", "latency", "quantile", "series"}, g.Signal) {
		out.Alpha = g.Alpha
	}
	for _, f := range gateFields {
		if len(f.For) > 0 && slices.Contains(f.For, g.Signal) {
			_ = f.set(&out, f.get(&g)) // it was text before
		}
	}
	switch g.Signal { // what has no field of its own
	case "series":
		out.Series = g.Series
	case "webhook":
		out.Webhook = g.Webhook
	case "command":
		out.Command = g.Command
	case "probe":
		out.Probe = g.Probe
	}
	return out
}

var percentRE = regexp.MustCompile(`^([0-9.]+)\s*%$`)

// audienceText writes an audience as a form has it; what has no words of its own, as JSON.
func audienceText(a resource.Audience) string {
	switch {
	case a.Everyone():
		return ""
	case a.Percent != nil:
		return strconv.FormatFloat(*a.Percent, 'f', -1, 64) + "%"
	case a.Segment != "":
		return "segment " + a.Segment
	case a.Users != nil:
		return "users " + strings.Join(a.Users, ", ")
	case a.Tenants != nil:
		return "tenants " + strings.Join(a.Tenants, ", ")
	case a.Regions != nil:
		return "regions " + strings.Join(a.Regions, ", ")
	}
	raw, err := json.Marshal(a)
	if err != nil {
		return ""
	}
	return string(raw)
}

func audienceOf(s string) (resource.Audience, error) {
	var a resource.Audience
	word, rest, _ := strings.Cut(s, " ")
	switch {
	case s == "" || s == "everyone":
	case percentRE.MatchString(s):
		v, err := strconv.ParseFloat(percentRE.FindStringSubmatch(s)[1], 64)
		if err != nil {
			return a, errs.E(errs.Invalid, "got %.40q, expected a share such as 5%%", s)
		}
		a.Percent = &v
	case word == "segment":
		a.Segment = strings.TrimSpace(rest)
	case word == "users":
		a.Users = words(rest)
	case word == "tenants":
		a.Tenants = words(rest)
	case word == "regions":
		a.Regions = words(rest)
	case strings.HasPrefix(s, "{"):
		if err := json.Unmarshal([]byte(s), &a); err != nil {
			return a, errs.E(errs.Invalid, "expected an audience in JSON: %v", err)
		}
	default:
		return a, errs.E(errs.Invalid, "got %.40q, expected 5%%, segment …, users …, tenants …, regions …, or JSON", s)
	}
	return a, nil
}

var hoursRE = regexp.MustCompile(`^([0-9]{2}:[0-9]{2})-([0-9]{2}:[0-9]{2})$`)

func hoursWords(h *resource.Hours) string {
	if h == nil {
		return ""
	}
	parts := slices.Clone(h.Days)
	if h.From != "" || h.To != "" || len(parts) == 0 {
		from, to := h.From, h.To
		if from == "" {
			from = "09:00"
		}
		if to == "" {
			to = "17:00"
		}
		parts = append(parts, from+"-"+to)
	}
	if h.Zone != "" {
		parts = append(parts, h.Zone)
	}
	return strings.Join(parts, " ")
}

func hoursOf(s string) (*resource.Hours, error) {
	if s == "" {
		return nil, nil
	}
	h := &resource.Hours{}
	for _, w := range strings.Fields(strings.ReplaceAll(s, ",", " ")) {
		m := hoursRE.FindStringSubmatch(w)
		switch {
		case m != nil:
			h.From, h.To = m[1], m[2]
		case len(w) == 3 && strings.ToLower(w) == w:
			h.Days = append(h.Days, w)
		case h.Zone == "":
			h.Zone = w
		default:
			return nil, errs.E(errs.Invalid, "got %.40q, expected days, hours and a zone, such as mon tue 09:00-17:00 Europe/Berlin", s)
		}
	}
	return h, nil
}

// shownField is a field of a form.
type shownField struct {
	ID, Key, Label, Help, Value string
	Options                     []string
	Check, Wide                 bool
	Problem                     string
}

// formOf reads, or shows, a row. With posted values they are set; what cannot be is said, and the text kept.
func formOf[T any](fields []planField[T], row *T, signal func(*T) string, prefix string, posted func(string) (string, bool), told map[string]string) []shownField {
	var out []shownField
	texts := map[string]string{}
	if posted != nil {
		for _, f := range fields {
			text, there := posted(prefix + f.Key)
			if !there && !f.Check {
				continue
			}
			text = strings.TrimSpace(text)
			if !f.applies(signal(row)) || text == f.get(row) { // what was left alone stays as it was written
				continue
			}
			if err := f.set(row, text); err != nil {
				texts[f.Key], told[prefix+f.Key] = text, err.Error()
			}
		}
	}
	for _, f := range fields {
		if !f.applies(signal(row)) {
			continue
		}
		v := shownField{ID: prefix + f.Key, Key: f.Key, Label: f.Label, Help: f.Help, Options: f.Options, Check: f.Check, Wide: f.Wide, Value: f.get(row), Problem: told[prefix+f.Key]}
		if text, kept := texts[f.Key]; kept {
			v.Value = text
		}
		out = append(out, v)
	}
	return out
}

func (f planField[T]) applies(signal string) bool {
	return len(f.For) == 0 || slices.Contains(f.For, signal)
}

func (f planField[T]) path() string {
	if f.Path != "" {
		return f.Path
	}
	return f.Key
}

// placeProblems gives problems to the fields that they are about, and returns the others as sentences.
func placeProblems(problems []resource.Problem, told map[string]string) []string {
	var rest []string
	for _, p := range problems {
		text := p
		text.Path = ""
		id := ""
		var i int
		var tail string
		if n, _ := fmt.Sscanf(p.Path, "spec.rings[%d]", &i); n == 1 {
			tail = p.Path[strings.IndexByte(p.Path, ']')+1:]
			id = idOf(ringFields, fmt.Sprintf("ring-%d-", i), strings.TrimPrefix(tail, "."))
		} else if n, _ := fmt.Sscanf(p.Path, "spec.gates[%d]", &i); n == 1 {
			tail = p.Path[strings.IndexByte(p.Path, ']')+1:]
			id = idOf(gateFields, fmt.Sprintf("gate-%d-", i), strings.TrimPrefix(tail, "."))
		}
		switch {
		case id == "" && told["yaml"] == "":
			rest = append(rest, sentenceCase(p.Text()))
		case id != "" && told[id] == "":
			told[id] = text.Text()
		}
	}
	return rest
}

func idOf[T any](fields []planField[T], prefix, tail string) string {
	if tail == "" {
		return prefix + "name"
	}
	best := ""
	for _, f := range fields {
		if strings.HasPrefix(tail, f.path()) && len(f.path()) > len(best) {
			best = f.path()
		}
	}
	for _, f := range fields {
		if best != "" && f.path() == best {
			return prefix + f.Key
		}
	}
	return ""
}
