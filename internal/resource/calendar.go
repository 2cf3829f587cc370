package resource

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

var (
	clockRE  = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
	weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
)

// localTime is how beginnings and ends of windows are written.
const localTime = "2006-01-02T15:04"

func (p *problems) hours(h *Hours, at string) {
	if h == nil {
		return
	}
	for i, d := range h.Days {
		p.need(slices.Contains(weekdays, d), item(at+".days", i), "one of "+strings.Join(weekdays, ", "), "got %q", clip(d))
		p.need(slices.Index(h.Days, d) == i, item(at+".days", i), "each once", "%q stands twice", clip(d))
	}
	p.need(h.Days == nil || len(h.Days) > 0, at+".days", "at least one day", "is empty")
	p.need(h.From == "" || clockRE.MatchString(h.From), at+".from", "a time such as 09:00", "got %q", clip(h.From))
	p.need(h.To == "" || clockRE.MatchString(h.To) || h.To == "24:00", at+".to", "a time such as 17:00", "got %q", clip(h.To))
	from, to := h.From, h.To
	or(&from, "09:00")
	or(&to, "17:00")
	p.need(from != to, at+".to", "another time than from", "is the same")
	p.zone(h.Zone, at+".zone")
}

func (p *problems) zone(zone, at string) {
	_, err := time.LoadLocation(zone)
	p.need(err == nil && zone != "Local", at, "an IANA time zone such as Europe/Berlin", "there is no time zone %q", clip(zone))
}

// window judges what needs no recurrence rules; package calendar judges those.
func (p *problems) window(w *Window, at string) {
	start, err := time.Parse(localTime, w.Start)
	p.need(err == nil, at+".start", "a local time such as 2026-12-20T08:00", "got %q", clip(w.Start))
	end, err2 := time.Parse(localTime, w.End)
	p.need(err2 == nil, at+".end", "a local time such as 2026-12-20T18:00", "got %q", clip(w.End))
	p.need(err != nil || err2 != nil || end.After(start), at+".end", "later than start", "is not")
	p.zone(w.Zone, at+".zone")
	for i, e := range w.Except {
		_, err := time.Parse(localTime, e)
		p.need(err == nil, item(at+".except", i), "a local time such as 2026-12-20T08:00", "got %q", clip(e))
	}
}

func (p *problems) freeze(f *Freeze) {
	p.need(strings.TrimSpace(f.Reason) != "", "spec.reason", "why nothing may move", "is empty")
	p.window(&f.When, "spec.when")
	p.names(f.Services, "spec.services")
}

func (p *problems) group(g *Group) {
	p.keys(g.Members, "spec.members", "a principal")
}

// maxFiles bounds the files of a config, together.
const maxFiles = 256 << 10

func (p *problems) config(c *Config, name string) {
	p.name(c.Service, "spec.service")
	p.need(versionRE.MatchString(c.Version), "spec.version", versionWords, "%q is no version", clip(c.Version))
	want := ReleaseName(c.Service, c.Version)
	p.need(name == want, "metadata.name", fmt.Sprintf("%q, its service and version", clip(want)), "got %q", clip(name))
	p.need(len(c.Env)+len(c.Files) > 0, "spec", "env or files", "is empty")
	p.env(c.Env, "spec.env")
	size := 0
	for _, k := range sortedKeys(c.Files) {
		at := field("spec.files", k)
		clean := path.Clean(k) == k && !path.IsAbs(k) && k != "." && k != ".." && !strings.HasPrefix(k, "../") && !strings.Contains(k, "\\")
		p.need(clean && len(k) <= 200 && printable(k), at, "a relative path without . or ..", "%q is none", clip(k))
		for dir := path.Dir(k); clean && dir != "."; dir = path.Dir(dir) {
			_, is := c.Files[dir]
			p.need(!is, at, "another path", "%q is a file, too", clip(dir))
		}
		p.need(utf8.ValidString(c.Files[k]), at, "text in UTF-8", "is not")
		size += len(c.Files[k])
	}
	p.need(size <= maxFiles, "spec.files", "at most 256 KiB together", "have %d bytes", size)
}
