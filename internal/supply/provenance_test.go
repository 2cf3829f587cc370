package supply

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

var artifact = "sha256:" + strings.Repeat("ab", 32)

func provenance(t testing.TB, parameters string) Build {
	t.Helper()
	predicate := fmt.Sprintf(`{"buildDefinition":{"buildType":"https://actions.github.io/buildtypes/workflow/v1","externalParameters":%s,
		"resolvedDependencies":[{"uri":"git+https://github.com/acme/tools","digest":{"gitCommit":"f00"}},{"uri":"git+https://github.com/acme/shop@refs/tags/v2","digest":{"gitCommit":"c0ffee"}}]},
		"runDetails":{"builder":{"id":"https://github.com/actions/runner/github-hosted"},"metadata":{"invocationId":"https://github.com/acme/shop/actions/runs/1"}}}`, parameters)
	raw, err := NewStatement("shop", artifact, ProvenanceType, []byte(predicate))
	if err != nil {
		t.Fatal(err)
	}
	s, err := ReadStatement(raw, artifact)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ReadBuild(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const workflow = `{"workflow":{"ref":"refs/tags/v2","repository":"https://github.com/acme/shop","path":".github/workflows/release.yml"}}`

func TestBuildIsRead(t *testing.T) {
	b := provenance(t, workflow)
	if b.Source != "https://github.com/acme/shop" || b.Commit != "c0ffee" || b.Builder == "" || b.Dependencies != 2 {
		t.Errorf("%+v", b)
	}
}

func TestExpectations(t *testing.T) {
	known := []Builder{{ID: "https://github.com/actions/runner/github-hosted", Signer: "ci", Level: 2}}
	raw := func(s string) map[string]json.RawMessage {
		return map[string]json.RawMessage{"workflow": json.RawMessage(s)}
	}
	full := raw(`{"ref":"refs/tags/*","repository":"https://github.com/acme/shop","path":".github/workflows/release.yml"}`)
	for name, c := range map[string]struct {
		parameters string
		e          Expected
		signer     string
		wrong      string
	}{
		"all as expected":             {workflow, Expected{Level: 2, Sources: []string{"https://github.com/acme/shop"}, Parameters: full}, "ci", ""},
		"level too low":               {workflow, Expected{Level: 3, Parameters: full}, "ci", "level 3"},
		"another signed for it":       {workflow, Expected{Level: 2, Parameters: full}, "eve", "level 2"},
		"another build type":          {workflow, Expected{Types: []string{"https://example.org/make"}, Parameters: full}, "ci", "build type"},
		"another source":              {workflow, Expected{Sources: []string{"https://github.com/acme/shop2"}, Parameters: full}, "ci", "built from"},
		"a source that begins alike":  {strings.Replace(workflow, "acme/shop", "acme/shop-evil", 1), Expected{Sources: []string{"https://github.com/acme/shop"}}, "ci", "built from"},
		"another ref":                 {strings.Replace(workflow, "refs/tags/v2", "refs/heads/x", 1), Expected{Parameters: full}, "ci", "workflow is"},
		"a parameter nobody expects":  {`{"workflow":{},"inputs":{"debug":true}}`, Expected{Parameters: raw(`{}`)}, "ci", "inputs is not expected"},
		"a field nobody expects":      {strings.Replace(workflow, `"ref"`, `"x":1,"ref"`, 1), Expected{Parameters: full}, "ci", "workflow is"},
		"nothing said of parameters":  {workflow, Expected{Sources: []string{"https://github.com/acme/shop"}}, "ci", "workflow is not expected"},
		"only the source":             {`{"source":{"uri":"git+https://github.com/acme/shop.git@refs/heads/main"}}`, Expected{Sources: []string{"https://github.com/acme/shop"}}, "ci", ""},
		"a source with more to it":    {`{"source":{"uri":"git+https://github.com/acme/shop","flags":"-X"}}`, Expected{Sources: []string{"https://github.com/acme/shop"}}, "ci", "source is not expected"},
		"a parameter that is missing": {`{}`, Expected{Parameters: full}, "ci", "without the parameter workflow"},
	} {
		_, wrong := c.e.Check(provenance(t, c.parameters), c.signer, known)
		got := strings.Join(wrong, "; ")
		if (c.wrong == "") != (got == "") || !strings.Contains(got, c.wrong) {
			t.Errorf("%s: %q, expected %q", name, got, c.wrong)
		}
	}
}

func TestStatementsAreAboutTheArtifact(t *testing.T) {
	raw, err := NewStatement("shop", artifact, "https://example.org/t", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		raw, digest string
		ok          bool
	}{
		"as made":          {string(raw), artifact, true},
		"another artifact": {string(raw), "sha256:" + strings.Repeat("cd", 32), false},
		"no subject":       {strings.Replace(string(raw), `"subject":[`, `"other":[`, 1), artifact, false},
		"another type":     {strings.Replace(string(raw), "Statement/v1", "Statement/v9", 1), artifact, false},
		"no predicate":     {strings.Replace(string(raw), "https://example.org/t", "", 1), artifact, false},
		"more behind":      {string(raw) + "{}", artifact, false},
		"another digest":   {strings.Replace(string(raw), "sha256", "sha512", 1), artifact, false},
		"not JSON":         {"x", artifact, false},
	} {
		if _, err := ReadStatement([]byte(c.raw), c.digest); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzStatement(f *testing.F) {
	raw, err := NewStatement("shop", artifact, ProvenanceType, []byte(`{"buildDefinition":{"buildType":"b","externalParameters":{"source":{"uri":"git+https://x/y@z"}}},"runDetails":{"builder":{"id":"b"}}}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := ReadStatement(raw, artifact)
		if err != nil {
			return
		}
		if b, err := ReadBuild(s); err == nil {
			Expected{Sources: []string{"https://x/y"}}.Check(b, "s", nil)
		}
	})
}
