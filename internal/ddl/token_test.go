package ddl

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestTokens(t *testing.T) {
	for src, want := range map[string]string{
		`SELECT "a""b", 'it''s' FROM t -- end`: `select|a"b|,|'it''s'|from|t`,
		`E'a\'b' || $$x;y$$ || $q$ $$ $q$`:     `E'a\'b'|||||$$x;y$$|||||$q$ $$ $q$`,
		`/* a /* b */ c */ x.y::int4`:          `x|.|y|:|:|int4`,
		`1.5e-3 + .5 - $1`:                     `1.5e-3|+|.5|-|$|1`,
		`U&"d" N'x' é`:                         `d|N'x'|é`,
	} {
		all, closed := tokens(src)
		var got []string
		for _, k := range all {
			got = append(got, k.s)
		}
		if s := strings.Join(got, "|"); s != want || !closed {
			t.Errorf("%s: %s, closed %t, expected %s", src, s, closed, want)
		}
	}
	for _, open := range []string{`'a`, `"a`, `$$a`, `/* a`, `E'a\'`} {
		if _, closed := tokens(open); closed {
			t.Errorf("%s is taken for closed", open)
		}
	}
}

func TestSplit(t *testing.T) {
	all, closed := split("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END;\n;SELECT $$a;b$$;\nSELECT 2")
	if len(all) != 3 || !closed || all[1].src != "SELECT $$a;b$$" || all[2].line != 3 {
		t.Errorf("%+v, closed %t", all, closed)
	}
}

func TestExpressions(t *testing.T) {
	for expr, want := range map[string]bool{"'x'": true, "-1": true, "'{}'::jsonb": true, "now()": true, "'a'::character varying(10)": true, "ARRAY[]::text[]": true,
		"random()": false, "gen_random_uuid()": false, "nextval('s')": false, "name": false, "": false, "current_user": false, "1 || f(2)": false} {
		if constant(expr) != want {
			t.Errorf("constant(%s) is %t", expr, !want)
		}
	}
	for _, bad := range []string{"", "a; b", "a)", "(a", "'a", "a /*", "a) FROM t; --("} {
		if checkExpr("it", bad) == nil {
			t.Errorf("%q is taken for an expression", bad)
		}
	}
	cols := []string{"a", "b", "c"}
	for expr, want := range map[string]string{"a + t.b": "a b", "f(t)": "a b c", "t.*": "a b c", "'a' || \"B\"": "", "a * 2": "a", "(SELECT count(*) FROM x WHERE x.c = a)": "a c"} {
		if got := strings.Join(mentions(expr, "t", cols), " "); got != want {
			t.Errorf("mentions(%s) is %q, expected %q", expr, got, want)
		}
	}
	if got := rewrite(`CHECK ((date > '2020-01-01'::date) AND (lower(x.date) <> date('a')))`, map[string]string{"date": "_n"}); got != `CHECK (("_n" > '2020-01-01'::date) AND (lower(x.date) <> date('a')))` {
		t.Error(got)
	}
}

// The largest file is looked at in a moment, whatever it is full of.
func TestLintIsQuick(t *testing.T) {
	for _, of := range []string{"a ", "$a", "((", "/*", "'", "SELECT 1;", "::a", "ALTER TABLE t ADD x int DEFAULT ''::a a,", "-- ringfence:allow x y\n"} {
		begin := time.Now()
		Lint("ALTER TABLE t ADD x int DEFAULT ''::" + strings.Repeat(of, MaxFile/4/len(of)))
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("a file full of %q takes %s", of, took)
		}
	}
}

func FuzzTokens(f *testing.F) {
	for _, s := range []string{"SELECT 1; -- x", "$a$ $b$ $a$", "E'\\", "/*/**/", "U&\"", "a.b::c[1]", "'\x00", "1e+", "$1$", "ALTER TABLE a ADD COLUMN b int DEFAULT (1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		at := 0
		all, _ := scan(src)
		for _, k := range all {
			if k.from < at || k.to <= k.from || k.to > len(src) {
				t.Fatalf("token %+v behind %d of %q", k, at, src)
			}
			if strings.Trim(src[at:k.from], " \t\r\n\f\v") != "" {
				t.Fatalf("%q is in no token", src[at:k.from])
			}
			at = k.to
		}
		Lint(src)
		_ = checkType(src)
		mentions(src, "t", []string{"a"})
		rewrite(src, map[string]string{"a": "b"})
		if utf8.ValidString(src) && !strings.ContainsRune(src, 0) { // what goes into quotes comes out of them whole
			for _, q := range []string{Quote(src), Literal(src)} {
				if all, closed := tokens(q); len(all) != 1 || !closed {
					t.Fatalf("%s are %d tokens", q, len(all))
				}
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(`{"operations":[{"sql":{"up":"SELECT 1"}}]}`)
	f.Add(`{"operations":[{"add_column":{"table":"t","column":{"name":"x","type":"int","default":"1"}}},{"alter_column":{"table":"t","column":"a","type":"text","up":"a","down":"a","default":null}}]}`)
	f.Add(`{"operations":[{"drop_column":{"table":"t","column":"b"}},{"rename_column":{"table":"t","from":"a","to":"b"}},{"create_constraint":{"table":"t","name":"u","type":"unique","columns":["b"],"up":{},"down":{}}}]}`)
	f.Fuzz(func(t *testing.T, raw string) {
		m, err := Parse("m", []byte(raw))
		if err != nil {
			return
		}
		if p, err := MakePlan(m, catalog()); err == nil && p.Expand[len(p.Expand)-1].Kind != StepViews {
			t.Fatalf("the views are not last: %+v", p.Expand)
		}
		ParseSQL("m", []byte(raw)) //nolint:errcheck // that it returns is enough
	})
}
