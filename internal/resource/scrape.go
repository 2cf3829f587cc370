package resource

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// Scrape says where metrics are collected that no service of Ringfence's own exposes.
type Scrape struct {
	Service   string            `json:"service,omitempty" doc:"the service that the metrics belong to: the label service of every series; default none"`
	Static    []StaticTargets   `json:"static,omitempty" maxItems:"100" doc:"targets that are always there"`
	Files     []string          `json:"files,omitempty" maxItems:"20" doc:"files of targets in the folder scrape of the data folder, in JSON or YAML as Prometheus reads them; read again when they change"`
	HTTP      []HTTPTargets     `json:"http,omitempty" maxItems:"20" doc:"addresses that answer with a list of targets in JSON as Prometheus reads it"`
	Scheme    string            `json:"scheme,omitempty" enum:"http,https" doc:"how targets are asked; default http"`
	Path      string            `json:"path,omitempty" doc:"path of the metrics; default /metrics"`
	Interval  fleet.Dur         `json:"interval,omitempty" doc:"time between two looks; default 15s"`
	Timeout   fleet.Dur         `json:"timeout,omitempty" doc:"how long a look may take; default half the interval, at most 10s"`
	TokenFile string            `json:"tokenFile,omitempty" doc:"file in the folder of secrets that holds the token that is sent to the targets"`
	Labels    map[string]string `json:"labels,omitempty" maxProperties:"32" doc:"labels of every series"`
	Relabel   []Relabel         `json:"relabel,omitempty" maxItems:"50" doc:"rules that choose among the targets and change their labels, as Prometheus' relabel_configs"`
}

// StaticTargets are targets with labels.
type StaticTargets struct {
	Targets []string          `json:"targets" minItems:"1" maxItems:"1000" doc:"hosts and ports, such as 10.0.0.7:9100"`
	Labels  map[string]string `json:"labels,omitempty" maxProperties:"32" doc:"labels of their series"`
}

// HTTPTargets is an address that is asked for targets.
type HTTPTargets struct {
	URL   string    `json:"url" maxLength:"2048" doc:"address, such as https://inventory.example.com/targets"`
	Every fleet.Dur `json:"every,omitempty" doc:"time between two questions; default 1m. While there is no answer the last one holds"`
}

// Relabel is one rule, as Prometheus has it.
type Relabel struct {
	SourceLabels []string `json:"sourceLabels,omitempty" maxItems:"20" doc:"labels whose values are put together"`
	Separator    *string  `json:"separator,omitempty" maxLength:"20" doc:"what stands between them; default ;"`
	Regex        string   `json:"regex,omitempty" maxLength:"1000" doc:"what they, or for label… names, must match as a whole; default (.*)"`
	Modulus      int      `json:"modulus,omitempty" minimum:"1" doc:"for hashmod"`
	TargetLabel  string   `json:"targetLabel,omitempty" maxLength:"200" doc:"label that is set"`
	Replacement  *string  `json:"replacement,omitempty" maxLength:"1000" doc:"what it is set to, with $1 for a part of the match; default $1"`
	Action       string   `json:"action,omitempty" enum:"replace,keep,drop,keepequal,dropequal,hashmod,labelmap,labeldrop,labelkeep,lowercase,uppercase" doc:"default replace"`
}

// Defaults returns s with every default filled in.
func (s Scrape) Defaults() Scrape {
	or(&s.Scheme, "http")
	or(&s.Path, "/metrics")
	or(&s.Interval, fleet.Dur(15*time.Second))
	s.HTTP = slices.Clone(s.HTTP)
	for i := range s.HTTP {
		or(&s.HTTP[i].Every, fleet.Dur(time.Minute))
	}
	return s
}

// jobsTaken are those of what Ringfence collects by itself; a Scrape's name is the job of its series.
var jobsTaken = []string{"gateway", "service", "ringfence"}

var metricLabelRE = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,199}$`)

func (p *problems) scrape(s *Scrape, name string) {
	p.need(!slices.Contains(jobsTaken, name), "metadata.name", "another name", "%q is the job of what Ringfence collects by itself", name)
	if s.Service != "" {
		p.name(s.Service, "spec.service")
	}
	p.need(len(s.Static)+len(s.Files)+len(s.HTTP) > 0, "spec", "static, files or http", "names no targets")
	for i, t := range s.Static {
		at := item("spec.static", i)
		for k, host := range t.Targets {
			p.need(host != "" && len(host) <= 300 && printable(host) && !strings.ContainsAny(host, "/ ?#@"), item(at+".targets", k), "host and port, such as 10.0.0.7:9100", "got %q", clip(host))
		}
		p.metricLabels(t.Labels, at+".labels")
	}
	for i, f := range s.Files {
		p.fileName(f, item("spec.files", i), "scrape")
	}
	for i, h := range s.HTTP {
		at := item("spec.http", i)
		u, err := url.Parse(h.URL)
		p.need(err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && u.User == nil && u.Fragment == "", at+".url", "an address such as https://inventory.example.com/targets, without a password", "is none")
		p.within(h.Every, 24*time.Hour, at+".every")
		p.need(h.Every == 0 || h.Every >= fleet.Dur(time.Second), at+".every", "at least 1s", "%s is too short", h.Every)
	}
	if s.Path != "" {
		p.urlPath(s.Path, "spec.path", true)
	}
	p.within(s.Interval, time.Hour, "spec.interval")
	p.need(s.Interval == 0 || s.Interval >= fleet.Dur(100*time.Millisecond), "spec.interval", "at least 100ms", "%s is too short", s.Interval)
	full := s.Defaults()
	p.need(s.Timeout <= full.Interval, "spec.timeout", "at most the interval, "+full.Interval.String(), "%s is too long", s.Timeout)
	if s.TokenFile != "" {
		p.secretFile(s.TokenFile, "spec.tokenFile")
	}
	p.metricLabels(s.Labels, "spec.labels")
	for i, r := range s.Relabel {
		p.relabel(r, item("spec.relabel", i))
	}
}

// metricLabels are labels of metrics; those that say whose a series is are set by what it was collected by.
func (p *problems) metricLabels(ls map[string]string, path string) {
	for _, k := range sortedKeys(ls) {
		at := field(path, k)
		p.need(metricLabelRE.MatchString(k), at, "letters, digits and _, not beginning with a digit", "%q is no name of a label", clip(k))
		p.need(k != "job" && k != "service", at, "another name; job is the name of the Scrape, service its spec.service", "%s is set already", k)
		p.need(len(ls[k]) <= 1000, at, "at most 1000 characters", "has %d", len(ls[k]))
	}
}

func (p *problems) relabel(r Relabel, at string) {
	_, err := regexp.Compile("^(?s:" + r.Regex + ")$")
	p.need(err == nil, at+".regex", "a regular expression", "is none")
	switch r.Action {
	case "hashmod":
		p.need(r.Modulus > 0, at+".modulus", "a number above 0", "is missing")
		fallthrough
	case "", "replace", "keepequal", "dropequal", "lowercase", "uppercase":
		p.need(r.TargetLabel != "", at+".targetLabel", "the label that is set or compared", "is missing")
	case "labeldrop", "labelkeep", "labelmap":
		p.need(len(r.SourceLabels) == 0, at+".sourceLabels", "none, as regex matches names", "has %d", len(r.SourceLabels))
	case "keep", "drop":
		p.need(len(r.SourceLabels) > 0, at+".sourceLabels", "labels to look at", "is missing")
	}
}

// fileName wants the name of a file within a folder of the data folder.
func (p *problems) fileName(s, at, folder string) {
	was := len(p.list)
	p.secretFile(s, at)
	for i := was; i < len(p.list); i++ {
		p.list[i].Expected = "the name of a file in the folder " + folder + ", such as targets.json"
	}
}
