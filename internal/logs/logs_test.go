package logs_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/logs"
)

var seen = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestLines(t *testing.T) {
	own := seen.Add(-3 * time.Second)
	for line, want := range map[string]struct {
		severity string
		at       time.Time
		trace    string
	}{
		`time=2026-03-01T11:59:57Z level=ERROR msg="no card"`:                          {"error", own, ""},
		`{"time":"2026-03-01T11:59:57Z","level":"warn","msg":"x","trace_id":"4bf92f"}`: {"warn", own, "4bf92f"},
		`2026-03-01T11:59:57Z ERROR no card`:                                           {"error", own, ""},
		`[WARN] slow`:                                                                  {"warn", seen, ""},
		`error: no card`:                                                               {"error", seen, ""},
		`panic: runtime error: index out of range`:                                     {"fatal", seen, ""},
		`no errors were found in the info desk`:                                        {"", seen, ""},
		`{"time":"1999-03-01T11:59:57Z","level":"info"}`:                               {"info", seen, ""},
		`{ not json at all`:                                                            {"", seen, ""},
		``:                                                                             {"", seen, ""},
		`time="2026-03-01T11:59:57Z" level=info`:                                       {"info", own, ""},
	} {
		e := logs.Line(line, seen)
		if e.Severity.String() != want.severity || !e.Time.Equal(want.at) || e.Trace != want.trace || e.Text != line {
			t.Errorf("%q: %s at %s, trace %q", line, e.Severity, e.Time, e.Trace)
		}
	}
}

func TestLinesNeverPanic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := logs.Line(rapid.String().Draw(t, "line"), seen)
		e.Cut()
		m, err := logs.Filter{Text: rapid.StringN(0, 50, 200).Draw(t, "text")}.Compile()
		if err == nil && m.Match(&e) && !m.May(e.Text) && !strings.Contains(m.Text, "=") {
			t.Fatalf("%q is meant by %q, but may not be", e.Text, m.Text)
		}
	})
}

func TestWords(t *testing.T) {
	e := logs.Entry{Text: "Payment REFUSED: no card", Attributes: map[string]string{"path": "/checkout"}}
	for text, want := range map[string]bool{
		"": true, "payment": true, "payment refused": true, "card payment": true, `"card payment"`: false, `"no card"`: true, "-refused": false, "payment -refused": false,
		"payment -accepted": true, "path=/check": true, "/CHECKOUT": true, "path=/other": false, `"open quote`: false, "-": false,
	} {
		m, err := logs.Filter{Text: text}.Compile()
		if err != nil {
			t.Fatal(err)
		}
		if m.Match(&e) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
	if _, err := (logs.Filter{Text: strings.Repeat("x", 1001)}).Compile(); !errs.Is(err, errs.Invalid) {
		t.Errorf("a text of 1001 characters: %v", err)
	}
}

func TestCursorsAndSeverities(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := logs.Cursor{Time: time.Unix(0, rapid.Int64Min(1).Draw(t, "nanos")), Seq: rapid.Uint64().Draw(t, "seq")}
		if got, err := logs.ParseCursor(c.String()); err != nil || got.Seq != c.Seq || !got.Time.Equal(c.Time) {
			t.Fatalf("%v: %v, %v", c, got, err)
		}
	})
	for _, bad := range []string{"x", "1", "1-", "1-2-3"} {
		if _, err := logs.ParseCursor(bad); !errs.Is(err, errs.Invalid) {
			t.Errorf("cursor %q: %v", bad, err)
		}
	}
	for n := range 30 {
		s := logs.Severity(n)
		if back, err := logs.ParseSeverity(s.String()); err != nil || back > max(s, 1) && n < 25 {
			t.Errorf("%d is %s is %d, %v", n, s, back, err)
		}
	}
	if _, err := logs.ParseSeverity("loud"); !errs.Is(err, errs.Invalid) {
		t.Error("a severity that there is not")
	}
}

func TestCutKeepsTheLimits(t *testing.T) {
	e := logs.Entry{Text: strings.Repeat("é", logs.MaxText), Labels: logs.Labels{Service: strings.Repeat("s", 500)}, Attributes: map[string]string{}}
	for i := range 200 {
		e.Attributes[strings.Repeat("k", i)] = "v\xff"
	}
	e.Cut()
	if len(e.Text) > logs.MaxText+20 || !strings.HasSuffix(e.Text, "cut") || len(e.Service) != logs.MaxLabel || len(e.Attributes) != logs.MaxAttributes {
		t.Errorf("%d bytes of text, %d of service, %d attributes", len(e.Text), len(e.Service), len(e.Attributes))
	}
}
