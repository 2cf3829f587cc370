package manifest

import (
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/resource"
)

func TestDocumentPlaces(t *testing.T) {
	problem := []resource.Problem{{Path: `flags["a/b"].list[1].x`, Msg: "wrong", Expected: "right"}}
	for _, c := range []struct{ name, data, want string }{
		{"f.json", "{\n\t\"flags\": {\n\t\t\"a/b\": {\"list\": [1,\n{\"y\": \"ä\", \"x\" : null}]}}}\n", `f.json:4:18: flags["a/b"].list[1].x: wrong, expected right`},
		{"f.yaml", "flags:\n  a/b:\n    list:\n    - 1\n    - y: 1\n      x: null\n", `f.yaml:6:10: flags["a/b"].list[1].x: wrong, expected right`},
		{"stdin", "flags:\n  a/b: {list: [1]}\n", `stdin:2:15: flags["a/b"].list[1].x: wrong, expected right`},
		{"stdin", `{"flags": {"other": 1}}`, `stdin:1:11: flags["a/b"].list[1].x: wrong, expected right`},
	} {
		d, problems := ReadDocument(Source{Name: c.name, Data: []byte(c.data)}, 1000)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if got := Problems(d.Locate(problem)).Error(); got != c.want {
			t.Errorf("got %s\nwant %s", got, c.want)
		}
	}
}

func TestDocumentsThatCannotBeRead(t *testing.T) {
	for _, c := range []struct{ name, data, want string }{
		{"f.json", "{\n \"a\": 1,\n}", "f.json:3:1: invalid character '}'"},
		{"f.json", "a: 1", "f.json:1:1: invalid character 'a'"},
		{"stdin", "{\"a\": 1", "stdin:1:7: unexpected end of JSON input"},
		{"f.yaml", "a: [1", "f.yaml:1:1: did not find expected"},
		{"f.yml", "a: 1\na: 2\n", "f.yml:2:1: a: stands already in line 1"},
		{"f.yml", "", "f.yml: is empty"},
		{"f.yml", "a: 1\n---\nb: 1\n", "f.yml:2:1: more follows"},
		{"f.json", strings.Repeat(" ", 1001), "f.json: is larger than"},
	} {
		_, problems := ReadDocument(Source{Name: c.name, Data: []byte(c.data)}, 1000)
		if len(problems) != 1 || !strings.HasPrefix(problems[0].String(), c.want) {
			t.Errorf("%s %q: got %v, want %s", c.name, c.data, problems, c.want)
		}
	}
}
