package tsdb

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/health"
)

func req(version, ring, code string) string {
	return `ringfence_requests_total{service="shop",unit="local",version="` + version + `",ring="` + ring + `",code="` + code + `"}`
}

func slow(version, ring, over string) string {
	return `ringfence_slow_requests_total{service="shop",unit="local",version="` + version + `",ring="` + ring + `",over="` + over + `"}`
}

func TestCounts(t *testing.T) {
	db := openTest(t, Options{})
	t0 := time.Now().Add(-time.Hour).Truncate(time.Second)
	at := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	type m = map[string]float64
	putScrape(t, db, "a", at(0), m{req("v1", "all", "200"): 1000, req("v1", "canary", "200"): 70, req("v1", "all", "500"): 3})
	putScrape(t, db, "b", at(0), m{req("v1", "all", "200"): 10})
	// v2 appears, an error of v1 in a ring of the canary, and a code seen for the first time.
	putScrape(t, db, "a", at(5), m{req("v1", "all", "200"): 1010, req("v1", "canary", "200"): 75, req("v1", "all", "500"): 4,
		req("v2", "canary", "200"): 6, req("v2", "canary", "503"): 2, slow("v2", "canary", "0.3"): 5, slow("v2", "canary", "1"): 1})
	putScrape(t, db, "b", at(5), m{req("v1", "all", "200"): 12})
	// a is silent for one scrape; b begins again from zero.
	putScrape(t, db, "b", at(10), m{req("v1", "all", "200"): 4})
	putScrape(t, db, "a", at(15), m{req("v1", "all", "200"): 1100, req("v1", "canary", "200"): 75, req("v1", "all", "500"): 4,
		req("v2", "canary", "200"): 26, req("v2", "canary", "503"): 2, req("v2", "early", "200"): 9, slow("v2", "canary", "0.3"): 5, slow("v2", "canary", "1"): 1})
	putScrape(t, db, "b", at(15), m{req("v1", "all", "200"): 4})

	c := func(n, bad int64) *health.Counts { return &health.Counts{Requests: n, Bad: bad} }
	for _, k := range []struct {
		name  string
		q     CountsQuery
		want  []health.Sample
		times []int
	}{
		{"everything", CountsQuery{Canary: "v2", Stable: "v1", From: at(0), To: at(15)},
			[]health.Sample{{Canary: c(8, 2), Stable: c(18, 1)}, {Stable: c(4, 0)}, {Canary: c(29, 0), Stable: c(90, 0)}}, []int{5, 10, 15}},
		{"one ring, and slow requests", CountsQuery{Canary: "v2", Stable: "v1", Rings: []string{"canary"}, Over: "0.3", From: at(0), To: at(15)},
			[]health.Sample{{Canary: c(8, 5), Stable: c(18, 0)}, {Stable: c(4, 0)}, {Canary: c(20, 0), Stable: c(90, 0)}}, []int{5, 10, 15}},
		{"no ring", CountsQuery{Canary: "v2", Rings: []string{}, From: at(0), To: at(5)}, nil, nil},
		{"several that it is compared with", CountsQuery{Canary: "v9", Stable: "v1|v2", From: at(0), To: at(15)},
			[]health.Sample{{Stable: c(26, 3)}, {Stable: c(4, 0)}, {Stable: c(119, 0)}}, []int{5, 10, 15}},
		{"no stable", CountsQuery{Canary: "v2", From: at(0), To: at(5)}, []health.Sample{{Canary: c(8, 2)}}, []int{5}},
		{"from is exclusive, to inclusive", CountsQuery{Canary: "v2", Stable: "v1", From: at(5), To: at(10)}, []health.Sample{{Stable: c(4, 0)}}, []int{10}},
		{"the first scrape has none before it", CountsQuery{Canary: "v1", From: at(-60), To: at(4)}, []health.Sample{}, []int{}},
		{"unknown service", CountsQuery{Service: "other", Canary: "v2", From: at(0), To: at(15)}, nil, nil},
		{"empty window", CountsQuery{Canary: "v2", From: at(5), To: at(5)}, nil, nil},
	} {
		t.Run(k.name, func(t *testing.T) {
			if k.q.Service == "" {
				k.q.Service = "shop"
			}
			got, times, err := db.Counts(t.Context(), k.q)
			if err != nil {
				t.Fatal(err)
			}
			if len(got)+len(k.want) > 0 && !cmp.Equal(got, k.want) {
				t.Error(cmp.Diff(k.want, got))
			}
			for i, s := range k.times {
				if !times[i].Equal(at(s)) {
					t.Errorf("sample %d is of %s, expected %s", i, times[i], at(s))
				}
			}
		})
	}
}

func TestCountsRefusesWhatIsNoQuestion(t *testing.T) {
	db := openTest(t, Options{})
	now := time.Now()
	for name, q := range map[string]CountsQuery{
		"no service":   {Canary: "v2", From: now, To: now},
		"no canary":    {Service: "shop", From: now, To: now},
		"same version": {Service: "shop", Canary: "v2", Stable: "v2", From: now, To: now},
		"backwards":    {Service: "shop", Canary: "v2", From: now, To: now.Add(-1)},
		"no start":     {Service: "shop", Canary: "v2", To: now},
	} {
		if _, _, err := db.Counts(t.Context(), q); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
