package manifest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/slo"
)

// TestOpenSLOExamples reads OpenSLO's published examples as they are. One is refused: it means a month and says a minute.
func TestOpenSLOExamples(t *testing.T) {
	files, err := filepath.Glob("testdata/openslo/*.yaml")
	if err != nil || len(files) < 11 {
		t.Fatal(files, err)
	}
	kinds := map[string]int{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(file) == "services.yaml" { // the same service in two environments: each name is there once
			raw = []byte(strings.Replace(string(raw), "name: example-service", "name: other-service", 1))
		}
		set, ps := Read([]Source{{Name: filepath.Base(file), Data: raw}})
		if filepath.Base(file) == "budgeting-method-timeslices-slo.yaml" {
			const want = `budgeting-method-timeslices-slo.yaml:27:17: spec.timeWindow[0].duration: 1m is too short, expected at least 1h; m is minutes, M is months: 1M`
			if len(ps) != 1 || ps[0].String() != want {
				t.Errorf("%v, expected %s", Problems(ps), want)
			}
			continue
		}
		for _, p := range ps {
			t.Error(p)
		}
		for _, r := range set.Resources {
			kinds[r.Kind]++
			if r.Kind == resource.KindDataSource && strings.Contains(string(r.Spec), "connectionDetails") {
				t.Errorf("%s keeps what connects to it", r.Key())
			}
			text, err := YAML(r)
			if err != nil || !strings.Contains(string(text), "apiVersion: openslo/v1") || strings.Contains(string(text), "ringfence") {
				t.Errorf("%v\n%s", err, text)
			}
			again, ps := Read([]Source{{Name: "again.yaml", Data: text}})
			if len(ps) > 0 || len(again.Resources) != 1 || string(again.Resources[0].Spec) != string(r.Spec) {
				t.Errorf("%s is read back as another one: %v", r.Key(), Problems(ps))
			}
		}
		for _, c := range slo.Compile(set.Resources) {
			for _, p := range c.Problems {
				t.Error(filepath.Base(file), p)
			}
		}
	}
	for _, kind := range resource.OpenSLO {
		if kinds[kind] == 0 {
			t.Errorf("no example of %s", kind)
		}
	}
}

func TestOpenSLOPlaces(t *testing.T) {
	const text = `apiVersion: openslo/v1
kind: SLO
metadata:
  name: a
spec:
  service: shop
  budgetingMethod: Occurences
  indicator:
    metadata: {name: x}
    spec:
      ratioMetric:
        good: {metricSource: {type: Prometheus, spec: {query: a}}}
        totals: {metricSource: {type: Prometheus, spec: {query: b}}}
  objectives:
    - target: 1.5
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: b}
spec:
  service: shop
  budgetingMethod: Timeslices
  indicatorRef: x
  timeWindow:
    - duration: 30
  objectives:
    - target: 1.5
      targetPercent: 3
    - target: 0.9
      compositeWeight: 2
---
apiVersion: openslo/v1
kind: SLOs
metadata: {name: b}
spec: {}
`
	_, ps := Read([]Source{{Name: "a.yaml", Data: []byte(text)}})
	got := Problems(ps).Error()
	for _, want := range []string{
		`a.yaml:7:20: spec.budgetingMethod: got "Occurences", did you mean Occurrences?`,
		`a.yaml:13:9: spec.indicator.spec.ratioMetric.totals: unknown field totals, did you mean total?`,
		`a.yaml:25:17: spec.timeWindow[0].duration: got the number 30: put it in quotes`,
		`a.yaml:33:7: kind: got "SLOs", did you mean SLO?`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %s:\n%s", want, got)
		}
	}
}
