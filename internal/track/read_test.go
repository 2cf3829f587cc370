package track

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/experiment"
)

// naive answers a query the plain way: from all events, user by user. It knows exposures to the millisecond.
func naive(events []Event, q Query, until time.Time, winsor float64) (map[string][][4]float64, int64) {
	byUser := map[string][]Event{}
	for _, e := range events {
		byUser[e.Key] = append(byUser[e.Key], e)
	}
	arms, several := map[string][][4]float64{}, int64(0)
	for _, all := range byUser {
		sort.SliceStable(all, func(i, j int) bool { return all[i].Time.Before(all[j].Time) })
		var first *Event
		variants := map[string]bool{}
		for i, e := range all {
			if e.Kind == Exposure && e.Name == q.Flag && !e.Time.Before(q.Since) && e.Time.Before(q.Until) {
				if first == nil {
					first = &all[i]
				}
				variants[e.Variant] = true
			}
		}
		switch {
		case len(variants) > 1:
			several++
		case first != nil && first.Time.Before(until):
			arms[first.Variant] = append(arms[first.Variant], naiveUser(all, first.Time, q, until, winsor))
		}
	}
	return arms, several
}

func naiveUser(all []Event, from time.Time, q Query, until time.Time, winsor float64) [4]float64 {
	m := q.Measure
	end := until
	if m.Window > 0 && from.Add(m.Window).Before(end) {
		end = from.Add(m.Window)
	}
	value := func(metric string, of Of, from, end time.Time) float64 {
		sum, last, n := 0.0, 0.0, 0.0
		for _, e := range all {
			if e.Kind == Metric && e.Name == metric && !e.Time.Before(from) && e.Time.Before(end) {
				sum, last, n = sum+e.Value, e.Value, n+1
			}
		}
		switch {
		case metric == "":
			return 0
		case m.Kind == experiment.Proportion:
			return math.Min(n, 1)
		case of == Count:
			return n
		case of == Last:
			return last
		}
		return sum
	}
	capped := func(v float64) float64 {
		if winsor > 0 {
			return math.Min(v, winsor)
		}
		return v
	}
	u := [4]float64{capped(value(m.Event, m.Of, from, end)), value(m.Denominator, m.DenominatorOf, from, end)}
	if m.Before > 0 {
		u[2], u[3] = capped(value(m.Event, m.Of, from.Add(-m.Before), from)), value(m.Denominator, m.DenominatorOf, from.Add(-m.Before), from)
	}
	return u
}

func sumsOf(name string, users [][4]float64, m Measure) experiment.Summary {
	var s experiment.Sums
	for _, u := range users {
		s.Add(u)
	}
	return s.Summary(name, m.Kind, m.Before > 0)
}

func sameSummary(a, b experiment.Summary) bool {
	same := a.Name == b.Name && a.N == b.N && a.Adjusted == b.Adjusted
	for i := range a.Mean {
		same = same && math.Abs(a.Mean[i]-b.Mean[i]) < 1e-9
		for j := range a.Mean {
			same = same && math.Abs(a.Cov[i][j]-b.Cov[i][j]) < 1e-6
		}
	}
	return same
}

func drawEvents(t *rapid.T) []Event {
	when := func() time.Duration {
		return time.Duration(rapid.IntRange(-6*60, 24*60+30).Draw(t, "minute")) * time.Minute
	}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Event {
		key := fmt.Sprint("u", rapid.IntRange(0, 12).Draw(t, "user"))
		if rapid.Bool().Draw(t, "exposure") {
			variant := []string{"on", "off"}[len(key)%2] // most users stay in theirs
			if rapid.IntRange(0, 9).Draw(t, "strays") == 0 {
				variant = "other"
			}
			return exposure(key, rapid.SampledFrom([]string{"checkout", "search"}).Draw(t, "flag"), variant, when())
		}
		return did(key, rapid.SampledFrom([]string{"order", "view"}).Draw(t, "metric"), float64(rapid.IntRange(-3, 20).Draw(t, "value")), when())
	}), 0, 120).Draw(t, "events")
}

func drawMeasure(t *rapid.T) Measure {
	of := rapid.SampledFrom([]Of{"", Sum, Count, Last})
	m := Measure{Kind: rapid.SampledFrom([]experiment.Kind{experiment.Proportion, experiment.Mean, experiment.Ratio}).Draw(t, "kind"), Event: "order", Of: of.Draw(t, "of")}
	if m.Kind == experiment.Ratio {
		m.Denominator, m.DenominatorOf = rapid.SampledFrom([]string{"view", "order"}).Draw(t, "denominator"), of.Draw(t, "denominator of")
	}
	hours := func(name string) time.Duration { return time.Duration(rapid.IntRange(0, 12).Draw(t, name)) * time.Hour }
	m.Window, m.Before = hours("window"), hours("before")
	if m.Kind != experiment.Proportion {
		m.Cap = float64(rapid.IntRange(0, 15).Draw(t, "cap"))
	}
	return m
}

// Whatever arrives in whatever order and pieces, a summary is what the plain way says, and so is each point of its series.
func TestSummariesAreAsThePlainWaySays(t *testing.T) {
	s := openNew(t)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		events, m := drawEvents(t), drawMeasure(t)
		environment := fmt.Sprint("e", n)
		for rest := events; len(rest) > 0; {
			k := rapid.IntRange(1, len(rest)).Draw(t, "batch")
			if _, err := s.Append(context.Background(), Batch{Environment: environment, Events: rest[:k]}); err != nil {
				t.Fatal(err)
			}
			if rest = rest[k:]; rapid.IntRange(0, 3).Draw(t, "settle") == 0 {
				if err := s.Settle(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
		}
		q := Query{Environment: environment, Flag: "checkout", Since: noon, Until: at(23*time.Hour + 30*time.Minute), Measure: m,
			Step: time.Duration(rapid.IntRange(0, 3).Draw(t, "step")) * 2 * time.Hour}
		res, err := s.Summaries(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		check := func(got []experiment.Summary, until time.Time) {
			arms, several := naive(events, q, until, m.Cap)
			if res.Several != several {
				t.Fatalf("%d users in several variants, expected %d", res.Several, several)
			}
			for _, v := range got {
				if want := sumsOf(v.Name, arms[v.Name], m); !sameSummary(v, want) {
					t.Fatalf("until %s: got %+v, expected %+v", until, v, want)
				}
				delete(arms, v.Name)
			}
			if len(arms) > 0 {
				t.Fatalf("until %s: nothing of %v", until, arms)
			}
		}
		check(res.Variants, q.Until)
		for _, p := range res.Series {
			check(p.Variants, p.At)
		}
		if q.Step > 0 && len(res.Variants) > 0 && !res.Series[len(res.Series)-1].At.Equal(q.Until) {
			t.Fatalf("the series ends at %s", res.Series[len(res.Series)-1].At)
		}
	})
}

func TestWinsorizeAndQuantile(t *testing.T) {
	s := openNew(t)
	var events []Event
	for i := range 100 {
		key := fmt.Sprint("u", i)
		events = append(events, exposure(key, "checkout", []string{"off", "on"}[i%2], 0))
		if i >= 10 {
			events = append(events, did(key, "order", float64(i+1), time.Minute))
		}
	}
	events = append(events, did("u99", "order", 1e6, time.Minute))
	take(t, s, events...)
	q := week()
	q.Measure = Measure{Kind: experiment.Mean, Event: "order", Winsorize: 0.95}
	res, err := s.Summaries(t.Context(), q)
	if err != nil || res.Cap != 95 || res.Variants[1].Mean[experiment.Value] > 60 {
		t.Errorf("%+v, %v", res, err)
	}
	q.Measure = Measure{Kind: experiment.Quantile, Event: "order", Quantile: 0.5}
	res, err = s.Summaries(t.Context(), q)
	if err != nil || len(res.Variants) != 2 || res.Variants[0].N != 45 || res.Variants[0].Mean[0] != 55 || res.Variants[1].Mean[0] != 56 || res.Variants[0].Cov[0][0] <= 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

// Of an hour the first and the last exposure are kept: who was exposed before and after the beginning counts from the last.
func TestPeriodBeginsWithinAnHour(t *testing.T) {
	s := openNew(t)
	take(t, s, exposure("a", "checkout", "on", time.Minute), exposure("a", "checkout", "on", 20*time.Minute), exposure("a", "checkout", "on", 40*time.Minute),
		exposure("b", "checkout", "off", time.Minute), exposure("b", "checkout", "on", 35*time.Minute), exposure("c", "checkout", "on", time.Minute),
		did("a", "order", 1, 30*time.Minute), did("a", "order", 10, 45*time.Minute))
	q := week()
	q.Since = at(30 * time.Minute)
	q.Measure = Measure{Kind: experiment.Mean, Event: "order"}
	res, err := s.Summaries(t.Context(), q)
	if err != nil || len(res.Variants) != 1 || res.Variants[0].N != 2 || res.Variants[0].Mean[0] != 5 || res.Several != 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestOnlyWhoseWindowHasPassed(t *testing.T) {
	s := openNew(t)
	take(t, s, exposure("a", "checkout", "on", 0), exposure("b", "checkout", "on", 3*time.Hour), did("b", "order", 1, 4*time.Hour))
	q := week()
	q.Until = at(5 * time.Hour)
	q.Measure = Measure{Kind: experiment.Proportion, Event: "order", Window: 4 * time.Hour, Complete: true}
	wantCounts(t, counts(t, s, q), "map[on:1]")
	if res, err := s.Summaries(t.Context(), q); err != nil || res.Exposed["on"] != 2 {
		t.Errorf("%+v, %v", res, err)
	}
	q.Measure.Complete = false
	wantCounts(t, counts(t, s, q), "map[on:2]")
}

func TestEventsByAttribute(t *testing.T) {
	s := openNew(t)
	book, toy := did("a", "order", 2, time.Minute), did("a", "order", 5, time.Minute)
	book.Context, toy.Context = `{"kind":"book"}`, `{"kind":"toy"}`
	take(t, s, exposure("a", "checkout", "on", 0), book, toy, did("a", "order", 9, time.Minute))
	q := week()
	q.Measure = Measure{Kind: experiment.Mean, Event: "order", Where: map[string]string{"kind": "book"}}
	res, err := s.Summaries(t.Context(), q)
	if err != nil || len(res.Variants) != 1 || res.Variants[0].Mean[0] != 2 {
		t.Errorf("%+v, %v", res, err)
	}
}

// A metric that many others have is not walked through for the few users of a flag.
func TestFewUsersAmongMany(t *testing.T) {
	s := openNew(t)
	var events []Event
	for i := range 3000 {
		events = append(events, did(fmt.Sprint("u", i), "order", 1, time.Minute))
	}
	for i := 0; i < 3000; i += 500 {
		events = append(events, exposure(fmt.Sprint("u", i), "checkout", "on", 0))
	}
	take(t, s, events...)
	q := week()
	q.Measure = Measure{Kind: experiment.Mean, Event: "order"}
	res, err := s.Summaries(t.Context(), q)
	if err != nil || len(res.Variants) != 1 || res.Variants[0].N != 6 || res.Variants[0].Mean[0] != 1 {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestQueriesThatMakeNoSense(t *testing.T) {
	s := openNew(t)
	for name, change := range map[string]func(*Query){
		"no environment":            func(q *Query) { q.Environment = "" },
		"no flag":                   func(q *Query) { q.Flag = "" },
		"ends before it begins":     func(q *Query) { q.Until = q.Since },
		"too many points":           func(q *Query) { q.Step = time.Minute },
		"a kind without an event":   func(q *Query) { q.Measure = Measure{Kind: experiment.Mean} },
		"no kind":                   func(q *Query) { q.Measure.Kind = "" },
		"a ratio of one":            func(q *Query) { q.Measure.Kind = experiment.Ratio },
		"a mean with a denominator": func(q *Query) { q.Measure.Denominator = "view" },
		"no quantile":               func(q *Query) { q.Measure.Kind = experiment.Quantile },
		"a quantile of a mean":      func(q *Query) { q.Measure.Quantile = 0.5 },
		"negative window":           func(q *Query) { q.Measure.Window = -1 },
		"complete without window":   func(q *Query) { q.Measure.Complete = true },
		"two caps":                  func(q *Query) { q.Measure.Cap, q.Measure.Winsorize = 1, 0.9 },
		"an unknown sum":            func(q *Query) { q.Measure.Of = "average" },
		"the cap of a proportion":   func(q *Query) { q.Measure.Kind, q.Measure.Cap = experiment.Proportion, 1 },
	} {
		q := week()
		q.Measure = Measure{Kind: experiment.Mean, Event: "order"}
		change(&q)
		if _, err := s.Summaries(t.Context(), q); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	q := week()
	q.Since = q.Since.Add(-2 * DefaultRetention)
	if res, err := s.Summaries(t.Context(), q); err != nil || !res.Since.Equal(at(24*time.Hour).Add(-DefaultRetention)) {
		t.Errorf("a period that begins before what is kept: %+v, %v", res, err)
	}
}

func FuzzTrack(f *testing.F) {
	f.Add([]byte(twoEvents))
	f.Add([]byte(`{"events":[{"type":"metric","targetingKey":"u","metric":"m","value":1e308,"context":{"a":"b"}}]}`))
	f.Add([]byte(`{"events":[null]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := parseTrack(body, noon)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatalf("%v of kind %v", err, errs.KindOf(err))
			}
			return
		}
		roundTrip(t, events)
	})
}

// roundTrip checks that what passes comes out of the journal as it went in.
func roundTrip(t *testing.T, events []Event) {
	b := Batch{Environment: "prod", Events: events}
	if b.check(noon.Add(-DefaultRetention), noon.Add(maxAhead)) != nil {
		return
	}
	row := string(appendChunk([]byte{journalVersion}, "prod", []mark{{1, 2}}, events))
	i := 0
	err := readJournal(row, func(m mark) {
		if m != (mark{1, 2}) {
			t.Fatalf("%v", m)
		}
	}, func(r record) {
		e := events[i]
		i++
		want := record{kind: e.Kind, environment: "prod", at: e.Time.UnixMilli(), key: e.Key, name: e.Name, context: e.Context, variant: e.Variant, set: e.Set, value: e.Value}
		if r != want {
			t.Fatalf("got %+v, expected %+v", r, want)
		}
	})
	if err != nil || i != len(events) {
		t.Fatalf("%d of %d, %v", i, len(events), err)
	}
}

func FuzzLogs(f *testing.F) {
	f.Add([]byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"ringfence.metric","attributes":[{"key":"metric.name","value":{"stringValue":"order"}}]}]}]}]}`), true)
	f.Add([]byte("\x0a\x00"), false)
	f.Fuzz(func(t *testing.T, body []byte, asJSON bool) {
		for _, read := range []func([]byte, bool, time.Time, time.Time) (*found, error){logsReader(false), readTraces} {
			got, err := read(body, asJSON, noon, noon.Add(-DefaultRetention))
			if err != nil {
				if !errs.Is(err, errs.Invalid) {
					t.Fatal(err)
				}
				continue
			}
			for i := range got.events {
				if w := got.events[i].check(noon.Add(-DefaultRetention), noon.Add(maxAhead)); w != nil {
					t.Fatal(w)
				}
			}
			roundTrip(t, got.events)
		}
	})
}

func FuzzJournal(f *testing.F) {
	f.Add(appendChunk([]byte{journalVersion}, "prod", []mark{{1, 2}}, []Event{exposure("u", "f", "on", 0), did("u", "m", 1, 0)}))
	f.Fuzz(func(t *testing.T, row []byte) {
		n := 0
		if err := readJournal(string(row), func(mark) { n++ }, func(record) { n++ }); err == nil && n > len(row) {
			t.Fatalf("%d things in %d bytes", n, len(row))
		}
	})
}

func TestNamesOfVariantsAreSorted(t *testing.T) {
	s := openNew(t)
	take(t, s, exposure("a", "checkout", "zeta", 0), exposure("b", "checkout", "alpha", 0), exposure("c", "checkout", "middle", 0))
	res, err := s.Summaries(t.Context(), week())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, v := range res.Variants {
		all = append(all, v.Name)
	}
	if !slices.IsSorted(all) || strings.Join(all, " ") != "alpha middle zeta" {
		t.Errorf("%v", all)
	}
}
