package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
)

func TestReadFolder(t *testing.T) {
	sources, err := Load([]string{"testdata/good", "-"}, strings.NewReader("{apiVersion: ringfence.dev/v1, kind: Segment, metadata: {name: one}, spec: {audience: {percent: 1}}}"))
	if err != nil {
		t.Fatal(err)
	}
	set, problems := Read(sources)
	if len(problems) > 0 {
		t.Fatal(Problems(problems))
	}
	var keys []string
	for _, r := range set.Resources {
		keys = append(keys, r.Key())
	}
	if d := cmp.Diff([]string{"segment/beta", "service/shop", "segment/employees", "ringplan/standard", "segment/one"}, keys); d != "" {
		t.Error(d)
	}
	if ps := resource.Check(set.Resources); len(ps) > 0 {
		t.Error(ps)
	}
}

func TestEveryProblemHasItsPlace(t *testing.T) {
	sources, err := Load([]string{"testdata/bad"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sources[0].Name = filepath.Base(sources[0].Name)
	want, err := os.ReadFile("testdata/bad/want.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, problems := Read(sources)
	var got []string
	for _, p := range problems {
		s := p.String()
		if strings.HasPrefix(p.Field, "spec.audience.rule") { // what the compiler of rules says is its own business
			s = strings.TrimSuffix(s, p.Msg)
		}
		got = append(got, strings.ReplaceAll(s, strings.Join(resource.Kinds, ", "), "KINDS"))
	}
	if d := cmp.Diff(strings.Split(strings.TrimSuffix(string(want), "\n"), "\n"), got); d != "" {
		t.Error(d)
	}
}

func TestProblemsFoundLaterHaveTheirPlaceToo(t *testing.T) {
	sources, err := Load([]string{"testdata/good/shop.yaml"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	set, _ := Read(sources)
	found := resource.Check(set.Resources[:2]) // without the plan
	got := Problems(set.Locate(append(found, resource.Problem{Index: -1, Kind: "Service", Name: "old", Path: "spec.plan", Msg: "dangles"}))).Error()
	want := `testdata/good/shop.yaml:10:9: spec.plan: there is no RingPlan "standard", expected the name of a RingPlan in the same set or applied before
service/old: spec.plan: dangles`
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

const head = "apiVersion: ringfence.dev/v1\nkind: Segment\nmetadata: {name: s}\n"

func TestYAMLTraps(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.Repeat(fmt.Sprintf("*%c, ", c-1), 10))
	}
	for name, tt := range map[string]struct{ text, want string }{
		"not YAML":            {"a: [1\nb: 2", "f.yaml:"},
		"twice the same key":  {head + "spec: {audience: {percent: 1}}\nspec: {}\n", "f.yaml:5:1: spec: stands already in line 4, expected each once"},
		"twice, deeper":       {head + "spec:\n  audience:\n    percent: 1\n    percent: 2\n", "f.yaml:7:5: spec.audience.percent: stands already in line 6, expected each once"},
		"merge key":           {head + "spec: &x {audience: {percent: 1}}\nother:\n  <<: *x\n", "f.yaml:6:3: other[\"<<\"]: merge keys are not read"},
		"key is a number":     {head + "spec: {1: x}\n", "f.yaml:4:8: spec: a key that is not text"},
		"key is a list":       {head + "spec: {[a]: x}\n", "f.yaml:4:8: spec: a key that is not text"},
		"alias bomb":          {bomb, "too many values"},
		"alias to itself":     {"a: &a [*a]\n", "too many values, or nested too deep"},
		"unknown tag":         {head + "spec: {audience: !secret x}\n", "f.yaml:4:18: spec.audience: the tag !secret is not known here"},
		"binary":              {head + "spec: {audience: {users: [!!binary aGk=]}}\n", "the tag !!binary is not known here"},
		"infinity":            {head + "spec: {audience: {percent: .inf}}\n", `f.yaml:4:28: spec.audience.percent: got ".inf", expected a finite number`},
		"huge integer":        {head + "spec: {audience: {percent: 99999999999999999999}}\n", "f.yaml:4:28: spec.audience.percent: got"},
		"number for text":     {head + "spec: {audience: {users: [12]}}\n", `f.yaml:4:27: spec.audience.users[0]: got the number 12: put it in quotes, expected text`},
		"nothing":             {head + "spec:\n  audience:\n", "f.yaml:5:12: spec.audience: has no value"},
		"a list at the top":   {"- a\n", "f.yaml:1:1: got a list, expected a resource with apiVersion"},
		"text at the top":     {"hello\n", `f.yaml:1:1: got the text "hello"`},
		"another format":      {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {}\n", `f.yaml:1:13: apiVersion: got "apps/v1"`},
		"too large":           {strings.Repeat("#", MaxFile+1), "f.yaml: is larger than 1 MiB"},
		"too many":            {strings.Repeat("--- {a: 1}\n", MaxDocs+1), "more than 1000 resources"},
		"a zero byte":         {head + "spec: {audience: {users: [\"a\\0b\"]}}\n", "f.yaml:4:27: spec.audience.users[0]: holds a zero byte"},
		"a dot in a key":      {strings.Replace(head, "{name: s}", "{name: s, labels: {\"a.b/c\": 1}}", 1) + "spec: {audience: {percent: 1}}\n", `f.yaml:3:39: metadata.labels["a.b/c"]: got the number 1`},
		"the problem is here": {head + "spec:\n  audience:\n    any:\n      - &a {percent: 200}\n      - *a\n", "f.yaml:7:22: spec.audience.any[0].percent: got 200"},
	} {
		t.Run(name, func(t *testing.T) {
			set, problems := Read([]Source{{"f.yaml", []byte(tt.text)}})
			if len(problems) == 0 {
				t.Fatalf("read %v", set.Resources)
			}
			if !strings.Contains(Problems(problems).Error(), tt.want) {
				t.Errorf("got  %s\nwant %s", Problems(problems), tt.want)
			}
		})
	}
}

func TestTextThatLooksLikeSomethingElse(t *testing.T) {
	set, problems := Read([]Source{{"f.yaml", []byte(head + "spec: {audience: {users: [yes, 2026-01-01, \"1\", 12:30:45, 0x, ~x]}}\n")}})
	if len(problems) > 0 {
		t.Fatal(Problems(problems))
	}
	if got, want := string(set.Resources[0].Spec), `{"audience":{"users":["yes","2026-01-01","1","12:30:45","0x","~x"]}}`; got != want {
		t.Errorf("got %s, expected %s", got, want)
	}
}

func TestAliasesAreFollowed(t *testing.T) {
	set, problems := Read([]Source{{"f.yaml", []byte(head + "spec:\n  audience:\n    any:\n      - &a {users: [ann]}\n      - {any: [*a]}\n")}})
	if len(problems) > 0 || !strings.Contains(string(set.Resources[0].Spec), `{"any":[{"users":["ann"]}]}`) {
		t.Errorf("%v %v", set.Resources, problems)
	}
}

func TestDeclaredTwiceNamesTheOtherPlace(t *testing.T) {
	one := []byte("\n" + head + "spec: {audience: {percent: 1}}\n")
	_, problems := Read([]Source{{"a.yaml", one}, {"b.yaml", one}})
	if got, want := Problems(problems).Error(), "b.yaml:4:18: metadata.name: segment/s is declared already at a.yaml:2, expected each once"; got != want {
		t.Errorf("got %s, expected %s", got, want)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"b.yaml": "b", "a.YML": "a", "c.json": "c", "d.txt": "d", ".e.yaml": "e"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "sub.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	sources, err := Load([]string{dir, filepath.Join(dir, "d.txt")}, nil)
	var got string
	for _, s := range sources {
		got += string(s.Data)
	}
	if got != "abcd" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	for _, paths := range [][]string{nil, {filepath.Join(dir, "gone.yaml")}, {filepath.Join(dir, "sub.yaml")}} {
		if _, err := Load(paths, nil); !errs.Is(err, errs.Invalid) {
			t.Errorf("%v: %v", paths, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, path := range []string{"testdata/good/shop.yaml", "testdata/good/beta.json", "testdata/bad/fields.yaml"} {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte(head + "spec: {audience: {users: [!!str 1, \"\\x85\"]}}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		set, problems := Read([]Source{{"f", raw}})
		for _, p := range problems {
			if p.Msg == "" || p.File != "f" {
				t.Errorf("problem without words or file: %+v", p)
			}
		}
		var b strings.Builder
		if err := Write(&b, set.Resources); err != nil {
			t.Fatal(err)
		}
		again, problems := Read([]Source{{"again", []byte(b.String())}})
		if len(problems) > 0 {
			t.Fatalf("what was written is refused: %v\n%s", Problems(problems), b.String())
		}
		if d := cmp.Diff(set.Resources, again.Resources); d != "" {
			t.Errorf("reads differently: %s\n%s", d, b.String())
		}
	})
}
