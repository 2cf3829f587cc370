package cedar_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/cedar"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) // a Wednesday

var groups = map[string][]string{"shop-team": {"alice"}}

func compiled(t testing.TB, texts ...string) policy.Rules {
	t.Helper()
	sources := []policy.Source{policy.Defaults()}
	for i, text := range texts {
		sources = append(sources, policy.Source{Name: fmt.Sprintf("own%d", i+1), Text: text})
	}
	r, faults := cedar.Compile(sources, groups)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return r
}

// The default rules are today's table: every role and action, whatever the rest of the request says.
func TestDefaultRulesAreTheTable(t *testing.T) {
	rules := compiled(t)
	roles := append([]policy.Role{policy.Client, "", "made-up", "Admin"}, policy.Roles...)
	actions := append([]policy.Action{"unheard-of", "", "Read"}, policy.Actions...)
	rapid.Check(t, func(t *rapid.T) {
		q := policy.Request{
			Principal: policy.Principal{Name: rapid.SampledFrom([]string{"x", "admin", "Role::\"admin\""}).Draw(t, "name"), Strong: rapid.Bool().Draw(t, "strong"),
				Groups: rapid.SliceOf(rapid.SampledFrom([]string{"admin", "shop-team", "g"})).Draw(t, "groups")},
			Resource:      policy.Resource{Kind: rapid.SampledFrom([]string{"", "service", "line"}).Draw(t, "kind"), Service: rapid.String().Draw(t, "service"), Labels: rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "labels")},
			Verb:          rapid.String().Draw(t, "verb"),
			Circumstances: policy.Circumstances{Now: noon.Add(time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "s")) * time.Second), Incident: rapid.Bool().Draw(t, "incident"), Frozen: rapid.Bool().Draw(t, "frozen")},
		}
		for _, q.Principal.Role = range roles {
			for _, q.Action = range actions {
				want := policy.Allow(q.Principal, q.Action)
				got := rules.Decide(q)
				if got.Allowed != (want == nil) || len(got.Errors) > 0 {
					t.Fatalf("%s, %s: %+v, the table says %v", q.Principal.Role, q.Action, got, want)
				}
				if err := got.Err(); want != nil && (err.Error() != want.Error() || errs.HintOf(err) != errs.HintOf(want)) {
					t.Fatalf("%s, %s: refused as %q, the table as %q", q.Principal.Role, q.Action, err, want)
				}
			}
		}
	})
	if got := rules.Decide(policy.Request{Action: policy.Read}); got.Allowed {
		t.Errorf("nobody: %+v", got)
	}
}

func TestRulesOfOnesOwn(t *testing.T) {
	rules := compiled(t, `
@id("shop-team")
permit (principal in Group::"shop-team", action == Action::"decide", resource) when { resource.service == "shop" && resource.ring != "all" };
@id("tier-one")
permit (principal in IssuerGroup::"sre", action == Action::"decide", resource) when { resource.hasTag("tier") && resource.getTag("tier") == "1" };
@id("working-hours")
@reason("releases go out while people are there")
@next("Wait for the morning.")
forbid (principal, action == Action::"decide", resource)
when { context.verb == "promote" && (context.hour < 8 || context.hour >= 18) }
unless { context.incident };
@id("fresh")
forbid (principal, action == Action::"change", resource) unless { principal.strong && context.signedIn <= 60 };
`)
	base := policy.Request{Principal: policy.Principal{Name: "alice", Role: policy.Viewer}, Action: policy.Decide, Declared: []string{"shop-team"},
		Resource: policy.Resource{Kind: "rollout", Name: "shop-1", Service: "shop", Ring: "early"}, Circumstances: policy.Circumstances{Now: noon}}
	for name, c := range map[string]struct {
		edit func(*policy.Request)
		rule string // that decided
		yes  bool
	}{
		"member":            {func(*policy.Request) {}, "shop-team", true},
		"last ring":         {func(q *policy.Request) { q.Resource.Ring = "all" }, "", false},
		"other service":     {func(q *policy.Request) { q.Resource.Service = "pay" }, "", false},
		"issuer's namesake": {func(q *policy.Request) { q.Declared, q.Principal.Groups = nil, []string{"shop-team"} }, "", false},
		"declared namesake": {func(q *policy.Request) {
			q.Declared, q.Resource.Labels = []string{"sre"}, map[string]string{"tier": "1"}
		}, "", false},
		"by label": {func(q *policy.Request) {
			q.Principal.Groups, q.Declared, q.Resource.Labels = []string{"sre"}, nil, map[string]string{"tier": "1"}
		}, "tier-one", true},
		"other label": {func(q *policy.Request) {
			q.Principal.Groups, q.Declared, q.Resource.Labels = []string{"sre"}, nil, map[string]string{"tier": "2"}
		}, "", false},
		"at night":            {func(q *policy.Request) { q.Verb, q.Now = "promote", noon.Add(10*time.Hour) }, "working-hours", false},
		"at night, in Berlin": {func(q *policy.Request) { q.Verb, q.Now, q.Zone = "promote", noon.Add(5*time.Hour), "Europe/Berlin" }, "working-hours", false},
		"in the evening, UTC": {func(q *policy.Request) { q.Verb, q.Now = "promote", noon.Add(5*time.Hour) }, "shop-team", true},
		"night of incident":   {func(q *policy.Request) { q.Verb, q.Now, q.Incident = "promote", noon.Add(10*time.Hour), true }, "shop-team", true},
		"admin, weakly":       {func(q *policy.Request) { q.Principal.Role, q.Action = policy.Admin, policy.Change }, "fresh", false},
		"admin, long ago": {func(q *policy.Request) {
			q.Principal = policy.Principal{Name: "alice", Role: policy.Admin, Strong: true, Authenticated: noon.Add(-2 * time.Hour)}
			q.Action = policy.Change
		}, "fresh", false},
		"admin, freshly": {func(q *policy.Request) {
			q.Principal = policy.Principal{Name: "alice", Role: policy.Admin, Strong: true, Authenticated: noon.Add(-time.Minute)}
			q.Action = policy.Change
		}, "admin", true},
	} {
		q := base
		c.edit(&q)
		d := rules.Decide(q)
		if d.Allowed != c.yes || (c.rule == "") != (len(d.Rules) == 0) || c.rule != "" && d.Rules[0].ID != c.rule {
			t.Errorf("%s: %+v, expected %v by %q", name, d, c.yes, c.rule)
		}
		if !d.Allowed && (d.Missing == "" || d.Next == "") {
			t.Errorf("%s: says neither why nor what next: %+v", name, d)
		}
	}
}

// Cedar passes over a forbid that cannot be evaluated, and would allow. Overflow is an error that no schema can foresee.
func TestAnErrorDenies(t *testing.T) {
	rules := compiled(t, `@id("overflows") forbid (principal, action == Action::"read", resource) when { context.signedIn * 9223372036854775807 > 0 };`)
	d := rules.Decide(policy.Request{Principal: policy.Principal{Name: "root", Role: policy.Admin}, Action: policy.Read, Circumstances: policy.Circumstances{Now: noon}})
	if d.Allowed || len(d.Errors) != 1 || !strings.Contains(d.Missing, "overflows") {
		t.Errorf("%+v", d)
	}
}

func TestWhatIsRefusedAtLoad(t *testing.T) {
	for text, want := range map[string]struct {
		line int
		says string
	}{
		"permit (principal, action, resource)":                                                               {1, ""},
		"\n\npermit (principal, action == Action::\"deploy\", resource);":                                    {3, "deploy"},
		"permit (principal, action, resource)\nwhen { principal.age > 3 };":                                  {2, "age"},
		"permit (principal, action, resource)\nwhen {\n context.weekend };":                                  {3, "weekend"},
		"permit (principal in Team::\"x\", action, resource);":                                               {1, "Team"},
		"permit (principal in Role::\"superuser\", action, resource);":                                       {1, "superuser"},
		"permit (principal,\naction, resource) when {\n principal in Group::\"shop-taem\" };":                {3, "shop-taem"},
		"forbid (principal, action, resource) when { context.hour < \"8\" };":                                {1, ""},
		"forbid (principal, action, resource) when { resource.getTag(\"tier\") == \"1\" };":                  {1, "tag"},
		"@id(\"a\") permit (principal, action, resource);\n@id(\"a\") permit (principal, action, resource);": {2, "twice"},
		"// nothing": {1, "no rule"},
		"permit (principal, action, resource);\x00": {1, ""},
		strings.Repeat("a", 300<<10):                {1, "bytes"},
	} {
		_, faults := cedar.Compile([]policy.Source{{Name: "own", Text: text}}, groups)
		if len(faults) == 0 {
			t.Errorf("%.80q: accepted", text)
			continue
		}
		if f := faults[0]; f.Policy != "own" || f.Line != want.line || !strings.Contains(f.Msg, want.says) {
			t.Errorf("%.80q: %v, expected line %d, %q", text, f, want.line, want.says)
		}
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(policy.Defaults().Text)
	f.Add(`permit (principal in Group::"shop-team", action in [Action::"read"], resource is Resource) when { context.now < datetime("2026-01-01") } unless { resource.name like "a*" };`)
	f.Add(`@id("x")forbid(principal==User::"a",action,resource)when{if true then [1,2].contains(1) else {"a":1}.a>-1};`)
	q := policy.Request{Principal: policy.Principal{Name: "x", Role: policy.Viewer}, Action: policy.Change, Resource: policy.Resource{Kind: "service", Name: "shop"}, Circumstances: policy.Circumstances{Now: noon}}
	f.Fuzz(func(t *testing.T, text string) {
		r, faults := cedar.Compile([]policy.Source{{Name: "fuzz", Text: text}}, groups)
		if (r == nil) != (len(faults) > 0) {
			t.Fatalf("%v, %v", r, faults)
		}
		for _, f := range faults {
			if f.Line < 1 || f.Msg == "" {
				t.Fatalf("%+v", f)
			}
		}
		if r != nil {
			if d := r.Decide(q); d.Allowed && len(d.Errors) > 0 {
				t.Fatalf("allowed with errors: %+v", d)
			}
		}
	})
}

// BenchmarkDecide is a decision with the default rules and forty of one's own.
func BenchmarkDecide(b *testing.B) {
	var own strings.Builder
	for i := range 40 {
		fmt.Fprintf(&own, "@id(\"team-%d\") permit (principal in Group::\"shop-team\", action == Action::\"decide\", resource) when { resource.service == \"svc-%d\" && resource.hasTag(\"tier\") && resource.getTag(\"tier\") == \"1\" };\n", i, i)
	}
	rules := compiled(b, own.String())
	q := policy.Request{Principal: policy.Principal{Name: "alice", Role: policy.Viewer, Groups: []string{"sre", "dev"}}, Declared: []string{"shop-team"}, Action: policy.Decide,
		Resource: policy.Resource{Kind: "rollout", Name: "svc-39-7", Service: "svc-39", Ring: "early", Labels: map[string]string{"tier": "1"}}, Circumstances: policy.Circumstances{Now: noon}}
	b.ReportAllocs()
	for b.Loop() {
		if d := rules.Decide(q); !d.Allowed {
			b.Fatal(d)
		}
	}
}
