package gateway

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/fleet"
)

// TestMatchProperty compares match with the rule said plainly: of the routes whose host and path cover the request,
// the most exact host wins, then the longest prefix.
func TestMatchProperty(t *testing.T) {
	label := rapid.SampledFrom([]string{"a", "b", "c"})
	name := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(label, 1, 3).Draw(t, "labels"), ".") })
	hosts := rapid.OneOf(name, rapid.Map(name, func(s string) string { return "*." + s }), rapid.Just(""))
	paths := rapid.Custom(func(t *rapid.T) string {
		return "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"x", "xy", "y"}), 0, 3).Draw(t, "segments"), "/")
	})
	type place struct{ host, path string }
	rapid.Check(t, func(t *rapid.T) {
		table := newTable()
		var places []place
		for range rapid.IntRange(0, 12).Draw(t, "routes") {
			p := place{hosts.Draw(t, "host"), paths.Draw(t, "path")}
			if table.add(&route{service: p.host + p.path, prefix: strings.TrimRight(p.path, "/")}, p.host) == nil {
				places = append(places, p)
			}
		}
		host, urlPath := name.Draw(t, "asked host"), paths.Draw(t, "asked path")
		best, bestRank := "", -1
		for _, p := range places {
			rank := 0
			switch {
			case p.host == host:
				rank = 2000
			case strings.HasPrefix(p.host, "*.") && strings.Count(host, ".") == strings.Count(p.host, ".") && strings.HasSuffix(host, p.host[1:]):
				rank = 1000
			case p.host != "":
				continue
			}
			if want := strings.Split(strings.TrimRight(p.path, "/"), "/"); !startsWith(strings.Split(urlPath, "/"), want) {
				continue
			}
			if rank += len(p.path); rank > bestRank {
				best, bestRank = p.host+p.path, rank
			}
		}
		got := ""
		if r := table.match(strings.ToUpper(host)+":8080", urlPath); r != nil {
			got = r.service
		}
		if got != best {
			t.Fatalf("%s%s went to %q, want %q of %v", host, urlPath, got, best, places)
		}
	})
}

func startsWith(s, prefix []string) bool {
	for i, p := range prefix {
		if i >= len(s) || s[i] != p {
			return false
		}
	}
	return true
}

func TestMatchPath(t *testing.T) {
	table := newTable()
	for _, p := range []string{"", "/a", "/b"} {
		if err := table.add(&route{service: "at " + p, prefix: p}, ""); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		"/a": "at /a", "/a/": "at /a", "/ab": "at ", "/a/../b": "at /b", "/a/./x": "at /a", "/b/..": "at ", "*": "at ", "/": "at ", "/a/.well": "at /a",
	} {
		if r := table.match("[::1]:80", path); r == nil || r.service != want {
			t.Errorf("%s: got %v, want %q", path, r, want)
		}
	}
}

func TestStripPrefix(t *testing.T) {
	for _, tt := range []struct{ target, decoded, prefix, want string }{
		{"/a", "/a", "/a", "/"},
		{"/a/", "/a/", "/a", "/"},
		{"/a?x=1", "/a", "/a", "/?x=1"},
		{"/a/b%2Fc?/a", "/a/b/c", "/a", "/b%2Fc?/a"},
		{"/%61/b", "/a/b", "/a", "/b"},
		{"/a%2Fb/c d", "/a/b/c d", "/a/b", "/c%20d"},
		{"/x/../a/b", "/x/../a/b", "/a", "/b"},
	} {
		if got := stripPrefix(tt.target, tt.decoded, tt.prefix); got != tt.want {
			t.Errorf("%s without %s: got %s, want %s", tt.target, tt.prefix, got, tt.want)
		}
	}
}

func TestIdentify(t *testing.T) {
	token := "Bearer e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"jwt-user","n":7,"groups":["x"]}`)) + ".sig"
	tests := []struct {
		name   string
		from   fleet.Source
		header http.Header
		target string
		want   any
	}{
		{"header", fleet.Source{Header: "x-user"}, http.Header{"X-User": {"ann"}}, "/", "ann"},
		{"header before cookie", fleet.Source{Header: "x-user", Cookie: "u"}, http.Header{"X-User": {"ann"}, "Cookie": {"u=bob"}}, "/", "ann"},
		{"cookie when no header", fleet.Source{Header: "x-user", Cookie: "u"}, http.Header{"Cookie": {"a=1; u=bob; c=2"}}, "/", "bob"},
		{"quoted cookie", fleet.Source{Cookie: "u"}, http.Header{"Cookie": {`u="bob"`}}, "/", "bob"},
		{"query", fleet.Source{Query: "u"}, nil, "/?u=c%20d", "c d"},
		{"claim", fleet.Source{JWT: "sub"}, http.Header{"Authorization": {token}}, "/", "jwt-user"},
		{"number claim", fleet.Source{JWT: "n"}, http.Header{"Authorization": {token}}, "/", "7"},
		{"list claim is no key", fleet.Source{JWT: "groups"}, http.Header{"Authorization": {token}}, "/", nil},
		{"no claim", fleet.Source{JWT: "other"}, http.Header{"Authorization": {token}}, "/", nil},
		{"no token", fleet.Source{JWT: "sub"}, http.Header{"Authorization": {"Basic x.y.z"}}, "/", nil},
		{"broken token", fleet.Source{JWT: "sub"}, http.Header{"Authorization": {"Bearer a.!.c"}}, "/", nil},
		{"nothing", fleet.Source{}, nil, "/", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := exchange{r: httptest.NewRequest("GET", tt.target, nil)}
			if tt.header != nil {
				x.r.Header = tt.header
			}
			x.identify(&route{key: tt.from})
			if tt.want == nil {
				if !x.fresh || len(x.user.TargetingKey) != 32 {
					t.Errorf("got %q, want a new key", x.user.TargetingKey)
				}
			} else if x.user.TargetingKey != tt.want || x.fresh {
				t.Errorf("got %q, want %q", x.user.TargetingKey, tt.want)
			}
		})
	}
}

// TestRings sends users to versions by audience, also by an attribute.
func TestRings(t *testing.T) {
	r := newRig(t, Options{})
	r.backend("v1", say("one"))
	r.backend("v2", say("two"))
	rings := []fleet.Ring{
		{Name: "canary", Audience: []byte(`{"==": [{"var": "plan"}, "beta"]}`)},
		{Name: "early", Percent: 30},
		{Name: "all"},
	}
	r.apply(shop(func(s *fleet.Service) {
		s.Rings, s.Exposure = rings, []string{"v2", "", "v1"}
		s.Route.Attributes = map[string]fleet.Source{"plan": {Header: "X-Plan"}}
	}))
	compiled, err := exposure.Compile("s", rings)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for i := range 50 {
		user, plan, want := "u"+string(rune('0'+i)), "", "one"
		if i%5 == 0 {
			plan, want = "beta", "two"
		}
		if _, b := r.get("/", "X-User-ID", user, "X-Plan", plan); b != want {
			t.Errorf("user %s, plan %q: got %q, want %q", user, plan, b, want)
		}
		count[rings[compiled.Lookup(&exposure.Context{TargetingKey: user, Attributes: map[string]any{"plan": plan}})].Name]++
	}
	for _, u := range r.Users("shop") {
		if int(u.Users) != count[u.Ring] {
			t.Errorf("%s has %d users, want %d", u.Ring, u.Users, count[u.Ring])
		}
	}
}
