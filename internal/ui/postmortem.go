package ui

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/responder"
)

// prose is a paragraph, or a list, of what a person wrote.
type prose struct {
	List  bool
	Lines []string
}

// proseOf reads a text: an empty line begins a paragraph, lines with a hyphen or an asterisk are a list.
func proseOf(text string) []prose {
	var all []prose
	begin := true
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		item, listed := strings.CutPrefix(line, "- ")
		if !listed {
			item, listed = strings.CutPrefix(line, "* ")
		}
		switch {
		case line == "":
			begin = true
			continue
		case begin || all[len(all)-1].List != listed:
			all = append(all, prose{List: listed})
		}
		begin = false
		last := &all[len(all)-1]
		last.Lines = append(last.Lines, item)
	}
	return all
}

// learnedPart is one of the chapters that people write.
type learnedPart struct {
	ID, Title string
	Text      []prose
}

// postmortemMeasure is one of an incident's times, with what it is counted from.
type postmortemMeasure struct {
	measureView
	From, To time.Time
}

type postmortemPage struct {
	*visit
	responder.View
	S        incident.State
	Tone     string
	Severity string
	Impact   []prose
	Said     []string // of the impact, from the record
	Measures []postmortemMeasure
	Causes   []causeView
	Learned  []learnedPart
	Items    []itemRow
}

// postmortem shows what the Markdown document says as a page.
func (s *Server) postmortem(w http.ResponseWriter, r *http.Request, v *visit) error {
	view, err := s.Incidents.View(r.Context(), r.PathValue("incident"))
	if err != nil {
		return err
	}
	st := view.Incident
	v.Title, v.Live = "Postmortem of "+st.ID, "all"
	p := &postmortemPage{visit: v, View: view, S: st, Tone: hurtTone(st), Severity: incident.Severities[min(max(st.Severity, 0), incident.MaxSeverity)],
		Impact: proseOf(cmp.Or(st.Impact.Text, view.Impact)), Said: st.ImpactSaid(view.Users)}
	safe, t := st.Mitigated, view.Times
	if end := st.Impact.End; !end.IsZero() && end.Before(safe) {
		safe = end
	}
	add := func(name, title string, took *float64, from, to time.Time) {
		p.Measures = append(p.Measures, postmortemMeasure{measureView{name, title, cmp.Or(lasted(took), "–")}, from, to})
	}
	add("TTD", "until it was noticed", t.Detect, st.Impact.Start, st.Detected)
	add("Taken after", "from when it was noticed until somebody took it", t.Acknowledge, st.Detected, st.Acknowledged)
	add("TTN", "until everyone was told", t.Tell, st.Impact.Start, st.Told)
	add("TTM", "until users were not hurt any more", t.Mitigate, st.Impact.Start, safe)
	add("TTR", "until what was wrong was put right", t.Remediate, st.Impact.Start, st.Resolved)
	for _, c := range view.Causes.Candidates[:min(5, len(view.Causes.Candidates))] {
		p.Causes = append(p.Causes, causeView{c, incident.Odds(c.Share), linkOfCause(c.Ref), 100 * c.Share})
	}
	var l incident.Learned
	if st.Learned != nil {
		l = *st.Learned
	}
	p.Learned = []learnedPart{{"well", "What went well", proseOf(l.Well)}, {"badly", "What did not", proseOf(l.Badly)}}
	if l.Lucky != "" {
		p.Learned = append(p.Learned, learnedPart{"lucky", "Where luck helped", proseOf(l.Lucky)})
	}
	for _, a := range st.Actions {
		row := itemRow{Action: a}
		row.Tone, row.State = itemState(a, v.Now)
		p.Items = append(p.Items, row)
	}
	return s.show(w, r, http.StatusOK, "postmortem", p)
}

// postmortemFile is the document in Markdown, to be kept elsewhere.
func (s *Server) postmortemFile(w http.ResponseWriter, r *http.Request, _ *visit) error {
	doc, err := s.Incidents.Postmortem(r.Context(), r.PathValue("incident"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/markdown; charset=utf-8")
	w.Header().Set("Content-Disposition", "attachment")
	_, err = w.Write([]byte(doc))
	return err
}
