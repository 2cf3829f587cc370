package flag

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every case of flagd's schemas is accepted or refused as it says.
func TestFlagdSchemas(t *testing.T) {
	files, err := filepath.Glob("testdata/flagd-schemas/*/*/*.json")
	if err != nil || len(files) < 38 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimPrefix(path, "testdata/flagd-schemas/"), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c := &checker{}
			if strings.Contains(path, "/targeting/") {
				var tree any
				if err := json.Unmarshal(raw, &tree); err != nil {
					t.Fatal(err)
				}
				c.rule(tree, "targeting")
			} else {
				_, c.problems = Parse(raw)
			}
			if want := strings.Contains(path, "/positive/"); (len(c.problems) == 0) != want {
				t.Errorf("problems %v, accepted should be %v", c.problems, want)
			}
			for _, p := range c.problems {
				if p.Expected == "" {
					t.Errorf("%s does not say what was expected", p.Text())
				}
			}
		})
	}
}
