package wire

import (
	"encoding/json"
	"fmt"
)

// QueryResult is what a PromQL expression gives.
type QueryResult struct {
	ResultType string          `json:"resultType"`
	Result     json.RawMessage `json:"result"`
	Warnings   []string        `json:"warnings,omitempty"`
}

// QuerySeries is one series of a result: a point, or several.
type QuerySeries struct {
	Metric     map[string]string `json:"metric"`
	Value      *QueryPoint       `json:"value"`
	Values     []QueryPoint      `json:"values"`
	Histogram  json.RawMessage   `json:"histogram"`
	Histograms []json.RawMessage `json:"histograms"`
}

// QueryPoint is a value at a time.
type QueryPoint struct {
	At    float64
	Value string
}

// UnmarshalJSON reads [time, "value"].
func (p *QueryPoint) UnmarshalJSON(raw []byte) error {
	return json.Unmarshal(raw, &[]any{&p.At, &p.Value})
}

// Series are those of a result. A scalar is one without labels.
func (r QueryResult) Series() ([]QuerySeries, error) {
	switch r.ResultType {
	case "scalar", "string":
		var p QueryPoint
		err := json.Unmarshal(r.Result, &p)
		return []QuerySeries{{Value: &p}}, err
	case "vector", "matrix":
		var all []QuerySeries
		err := json.Unmarshal(r.Result, &all)
		return all, err
	}
	return nil, fmt.Errorf("the answer is of type %q", r.ResultType)
}
