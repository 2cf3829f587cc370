package ui

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// charts is the answer that charts.js draws a box of charts from; doc.go says what it means.
type charts struct {
	T      []int64    `json:"t"`
	Charts []chart    `json:"charts"`
	Marks  []markView `json:"marks,omitempty"`
	Spans  []spanView `json:"spans,omitempty"`
	Logs   string     `json:"logs,omitempty"`
	Empty  string     `json:"empty,omitempty"`
}

type chart struct {
	Title  string       `json:"title"`
	Unit   string       `json:"unit,omitempty"` // rate, share, change, signed, seconds, bytes, or a word; "" for plain numbers
	Series []chartLine  `json:"series"`
	T      []int64      `json:"t,omitempty"`
	Low    *float64     `json:"low,omitempty"`
	High   *float64     `json:"high,omitempty"`
	Least  float64      `json:"least,omitempty"`
	Zero   bool         `json:"zero,omitempty"`
	Limits []chartLimit `json:"limits,omitempty"`
	Height int          `json:"height,omitempty"`
}

type chartLine struct {
	Name     string     `json:"name"`
	Paint    string     `json:"paint,omitempty"` // new, stable, pass, hold, fail, va to ve; "" for the next of a palette
	Y        []*float64 `json:"y"`
	BandLow  []*float64 `json:"low,omitempty"`
	BandHigh []*float64 `json:"high,omitempty"`
	Unit     string     `json:"unit,omitempty"`
	Quiet    bool       `json:"quiet,omitempty"` // is told, not drawn
	Area     bool       `json:"area,omitempty"`
	Of       string     `json:"of,omitempty"` // what narrows logs to what the line is of, as in an address: version=v2
}

type chartLimit struct {
	Y    float64 `json:"y"`
	Text string  `json:"text,omitempty"`
	Tone string  `json:"tone,omitempty"`
}

// markView is a change at one time.
type markView struct {
	T    float64 `json:"t"`
	Text string  `json:"text"`
	Tone string  `json:"tone"` // calm, pass, hold or fail
	Href string  `json:"href,omitempty"`
}

// spanView is a time that stands out.
type spanView struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
	Tone string  `json:"tone,omitempty"`
	Text string  `json:"text,omitempty"`
}

// narrowed lets the logs of a time be asked for those of one line, whose name is a version or a ring.
func narrowed(all []chart, by string) []chart {
	for _, c := range all {
		for i := range c.Series {
			c.Series[i].Of = url.Values{by: {c.Series[i].Name}}.Encode()
		}
	}
	return all
}

// sendCharts answers with what a box of charts is drawn from.
func sendCharts(w http.ResponseWriter, c charts) error {
	if c.T == nil {
		c.T = []int64{}
	}
	if c.Charts == nil {
		c.Charts = []chart{}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(c)
}

// chartTimes are from, from+step and so on up to end.
func chartTimes(from, end time.Time, step time.Duration) []int64 {
	out := []int64{}
	for at := from; !at.After(end); at = at.Add(step) {
		out = append(out, at.Unix())
	}
	return out
}
