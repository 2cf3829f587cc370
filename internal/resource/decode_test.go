package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

const (
	goodService = `{"plan":"standard","run":{"command":["{artifact}","--listen","{address}"]},"route":{"host":"shop.localhost"}}`
	goodPlan    = `{"rings":[{"name":"canary","audience":{"users":["ann"]},"bake":"30m"},{"name":"early","audience":{"percent":5}},{"name":"all"}]}`
	zeros       = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	goodRelease = `{"service":"shop","version":"v1","digest":"` + zeros + `","size":1,"created":"2026-01-01T00:00:00Z","by":"ann"}`
)

func envelopeOf(kind, name, spec string) []byte {
	return []byte(`{"apiVersion":"ringfence.dev/v1","kind":"` + kind + `","metadata":{"name":"` + name + `"},"spec":` + spec + `}`)
}

// badRule stands for package exposure, which this one cannot import.
func badRule(raw json.RawMessage) error {
	if strings.Contains(string(raw), "bad") {
		return errors.New("unknown operator bad")
	}
	return nil
}

func TestGoodResources(t *testing.T) {
	for name, raw := range map[string][]byte{
		"service": envelopeOf(KindService, "shop", goodService),
		"service with everything": envelopeOf(KindService, "shop", `{"owner":"team-shop","plan":"p","unit":"local","drain":"1m","stopGrace":"5s",
			"run":{"command":["java","-jar","{artifact}"],"env":{"LOG":"{level}","JSON":"{\"a\":1}"},"dir":"/srv/shop","instances":3},
			"ready":{"http":"/readyz?full=1","interval":"2s","timeout":"500ms","within":"2m"},
			"route":{"host":"*.example.com","path":"/shop","stripPath":true,"targetingKey":{"header":"X-User-ID","cookie":"uid","query":"u","jwt":"https://x/claim"},
				"attributes":{"plan":{"jwt":"plan"}},"protocol":"h2c","timeout":"5s","maxBodyBytes":-1,"streamTimeout":"1h"}}`),
		"told by PORT": envelopeOf(KindService, "shop", `{"plan":"p","run":{"command":["{artifact}"]},"route":{}}`),
		"plan":         envelopeOf(KindRingPlan, "standard", goodPlan),
		"one ring":     envelopeOf(KindRingPlan, "hotfix", `{"rings":[{"name":"all"}]}`),
		"gates":        envelopeOf(KindRingPlan, "p", `{"rings":[{"name":"all"}],"gates":[{"signal":"errors","compare":"none"},{"signal":"latency","over":"300ms"},{"signal":"latency","over":"1s","maxShare":0.01,"compare":"none"}]}`),
		"segment":      envelopeOf(KindSegment, "employees", `{"audience":{"any":[{"users":["ann"]},{"rule":{"ends_with":[{"var":"email"},"@x.org"]}},{"segment":"others"},{"percent":0.5}]}}`),
		"release":      envelopeOf(KindRelease, "shop/v1", goodRelease),
		"longest name": envelopeOf(KindSegment, strings.Repeat("a", 63), `{"audience":{"percent":100}}`),
	} {
		if _, ps := Decode(raw, badRule); len(ps) > 0 {
			t.Errorf("%s: %v", name, ps)
		}
	}
}

// Every refusal names the field, what is wrong and what was expected.
func TestRefusals(t *testing.T) {
	service := func(edit ...string) []byte {
		return envelopeOf(KindService, "shop", strings.NewReplacer(edit...).Replace(goodService))
	}
	plan := func(rings, gates string) []byte {
		return envelopeOf(KindRingPlan, "p", `{"rings":[`+rings+`],"gates":[`+gates+`]}`)
	}
	segment := func(a string) []byte { return envelopeOf(KindSegment, "s", `{"audience":`+a+`}`) }
	release := func(edit ...string) []byte {
		return envelopeOf(KindRelease, "shop/v1", strings.NewReplacer(edit...).Replace(goodRelease))
	}
	all, ann := `{"name":"all"}`, `"audience":{"users":["ann"]}`
	route := `"host":"shop.localhost"`
	for _, tt := range []struct {
		raw  []byte
		want string // beginning of the first problem's text
	}{
		// the envelope
		{[]byte(``), `not JSON`},
		{[]byte(`[]`), `got a list, expected a resource with apiVersion`},
		{[]byte(`{"a":1,"a":2}`), `a: stands twice`},
		{[]byte(`{} {}`), `more follows`},
		{[]byte(`{"kind":"Service"}`), `apiVersion: missing, expected one of ringfence.dev/v1`},
		{[]byte(strings.Repeat("[", 100)), `[0][0]`},
		{envelopeOf("Servce", "shop", goodService), `kind: got "Servce", did you mean Service?, expected one of Segment, RingPlan, Service, Release`},
		{envelopeOf("Deployment", "shop", goodService), `kind: got "Deployment", expected one of`},
		{envelopeOf(KindService, "Shop", goodService), `metadata.name: "Shop" is no name, expected lower-case`},
		{envelopeOf(KindService, strings.Repeat("a", 64), goodService), `metadata.name: `},
		{envelopeOf(KindService, "shop", `null`), `spec: has no value`},
		{envelopeOf(KindService, "shop", `[]`), `spec: got a list, expected fields such as`},
		{[]byte(strings.Replace(string(service()), `{"name":"shop"}`, `{"name":"shop","labels":{"a b":"x"}}`, 1)), `metadata.labels["a b"]: "a b" is no label`},
		{[]byte(strings.Replace(string(service()), `ringfence.dev/v1`, `ringfence.dev/v2`, 1)), `apiVersion: got "ringfence.dev/v2", did you mean`},
		// types
		{service(`"plan"`, `"instancs":2,"plan"`), `spec.instancs: unknown field instancs, expected one of owner`},
		{service(`"command"`, `"instancs":2,"command"`), `spec.run.instancs: unknown field instancs, did you mean instances?, expected one of command`},
		{service(`"run"`, `"Run"`), `spec.Run: unknown field Run, did you mean run?`},
		{service(`"plan":"standard",`, ``), `spec.plan: missing`},
		{service(`"standard"`, `7`), `spec.plan: got the number 7: put it in quotes, expected text`},
		{service(`"plan"`, `"drain":30,"plan"`), `spec.drain: got the number 30, expected a duration such as 30m`},
		{service(`"plan"`, `"drain":"30","plan"`), `spec.drain: got "30", expected a duration`},
		{service(`"plan"`, `"drain":"0s","plan"`), `spec.drain: got "0s", expected a duration such as 30m, above zero`},
		{service(`"plan"`, `"drain":"-5s","plan"`), `spec.drain: got "-5s"`},
		{service(`"plan"`, `"drain":"48h","plan"`), `spec.drain: 48h is too long, expected at most 24h`},
		{service(`"command"`, `"instances":0,"command"`), `spec.run.instances: got 0, expected a whole number from 1 to 100`},
		{service(`"command"`, `"instances":101,"command"`), `spec.run.instances: got 101`},
		{service(`"command"`, `"instances":1.5,"command"`), `spec.run.instances: got the number 1.5, expected a whole number`},
		{service(`"command"`, `"instances":"2","command"`), `spec.run.instances: got the text "2", expected a whole number`},
		{service(`"command"`, `"instances":1e999,"command"`), `spec.run.instances: got 1e999, which is too large`},
		{service(`"command"`, `"env":{"PORT":8080},"command"`), `spec.run.env.PORT: got the number 8080: put it in quotes`},
		{service(`"command"`, `"env":["PORT"],"command"`), `spec.run.env: got a list, expected names with values`},
		{service(route, route+`,"stripPath":"yes"`), `spec.route.stripPath: got the text "yes", expected true or false`},
		{service(route, route+`,"targetingKey":null`), `spec.route.targetingKey: has no value: leave the field out`},
		{service(`"plan"`, `"owner":"`+strings.Repeat("x", 201)+`","plan"`), `spec.owner: has 201 bytes, expected at most 200`},
		{service(`"plan"`, `"owner":"\u0000","plan"`), `spec.owner: holds a zero byte`},
		// services
		{service(`["{artifact}","--listen","{address}"]`, `[]`), `spec.run.command: has 0 elements, expected at least 1`},
		{service(`["{artifact}","--listen","{address}"]`, `"{artifact}"`), `spec.run.command: got the text "{artifact}", expected a list`},
		{service(`"{artifact}"`, `" "`), `spec.run.command[0]: is empty`},
		{service(`"{artifact}"`, `"shop"`), `spec.run.command: runs nothing of a release, expected {artifact}`},
		{service(`"command"`, `"env":{"PORT":"80"},"command"`), `spec.run.env.PORT: every instance gets a PORT of its own, expected another name`},
		{service(`"command"`, `"env":{"RINGFENCE_SERVICE":"x"},"command"`), `spec.run.env.RINGFENCE_SERVICE: every instance gets`},
		{service(`"command"`, `"env":{"A":"http://{address}"},"command"`), `spec.run.env.A: {address} is not put in here, expected it in the command; PORT, ADDRESS, LISTEN_ADDR are set`},
		{service(`{address}`, `{adress}`), `spec.run.command[2]: unknown {adress}, did you mean {address}?`},
		{service(`"command"`, `"env":{"1A":""},"command"`), `spec.run.env["1A"]: "1A" is no name of an environment variable`},
		{service(`"command"`, `"dir":"srv","command"`), `spec.run.dir: got "srv", expected an absolute path`},
		{service(`"plan"`, `"ready":{"http":"/x","tcp":true},"plan"`), `spec.ready.tcp: stands next to http`},
		{service(`"plan"`, `"ready":{"http":"readyz"},"plan"`), `spec.ready.http: got "readyz", expected a path`},
		{service(`"plan"`, `"ready":{"timeout":"5m"},"plan"`), `spec.ready.timeout: 5m is too long, expected at most within, 1m`},
		{service(`shop.localhost`, `http://shop`), `spec.route.host: got "http://shop", expected a lower-case host name`},
		{service(`shop.localhost`, `shop:8080`), `spec.route.host: got "shop:8080"`},
		{service(`shop.localhost`, `a.*.org`), `spec.route.host: got "a.*.org"`},
		{service(route, `"path":"shop"`), `spec.route.path: got "shop", expected a path such as /shop`},
		{service(route, `"path":"/a/../b"`), `spec.route.path: got`},
		{service(route, `"path":"/a?b"`), `spec.route.path: got`},
		{service(route, `"path":"/shop/"`), `spec.route.path: ends with /, expected /shop`},
		{service(route, `"stripPath":true`), `spec.route.stripPath: there is no path`},
		{service(route, `"protocol":"grpc"`), `spec.route.protocol: got "grpc", expected one of http, h2c`},
		{service(route, `"maxBodyBytes":-2`), `spec.route.maxBodyBytes: got -2`},
		{service(route, `"maxBodyBytes":0`), `spec.route.maxBodyBytes: got 0: leave the field out for the default, expected a whole number other than 0`},
		{service(route, `"targetingKey":{"header":"X User"}`), `spec.route.targetingKey.header: got "X User"`},
		{service(route, `"attributes":{"plan":{}}`), `spec.route.attributes.plan: names no source`},
		{service(route, `"attributes":{"targetingKey":{"header":"X"}}`), `spec.route.attributes.targetingKey: targetingKey is reserved`},
		// plans
		{plan(``, ``), `spec.rings: has 0 elements, expected at least 1`},
		{plan(`{"name":"all",`+ann+`}`, ``), `spec.rings[0].audience: the last ring takes everyone`},
		{plan(`{"name":"a"},`+all, ``), `spec.rings[0].audience: is missing: only the last ring takes everyone`},
		{plan(`{"name":"all",`+ann+`},`+all, ``), `spec.rings[1].name: "all" is also the name of rings[0]`},
		{plan(`{"name":"A",`+ann+`},`+all, ``), `spec.rings[0].name: "A" is no name`},
		{plan(`{"name":"a",`+ann+`},{"name":"b",`+ann+`},`+all, ``), `spec.rings[1].audience: is that of rings[0]: nobody would be new`},
		{plan(`{"name":"a","audience":{"percent":10}},{"name":"b","audience":{"percent":5}},`+all, ``), `spec.rings[1].audience.percent: 5 does not grow: nobody would be new, expected more than 10, that of rings[0]`},
		{plan(`{"name":"a","audience":{"percent":100}},`+all, ``), `spec.rings[0].audience.percent: 100 is everyone`},
		{plan(`{"name":"a","audience":{"percent":0}},`+all, ``), `spec.rings[0].audience.percent: got 0, expected a number from 0.001 to 100`},
		{plan(`{"name":"a","audience":{"percent":5,"users":["x"]}},`+all, ``), `spec.rings[0].audience: has both users and percent`},
		{plan(`{"name":"a",`+ann+`,"bake":"2h"},{"name":"all","bake":"1h"}`, ``), `spec.rings[1].bake: 1h is shorter than in the ring before, expected at least 2h, that of rings[0]`},
		{plan(`{"name":"a",`+ann+`},{"name":"all","bake":"1h"}`, ``), `spec.rings[1].bake: 1h is shorter than in the ring before, expected at least 24h`},
		{plan(`{"name":"all","bake":"2400h"}`, ``), `spec.rings[0].bake: 2400h is too long, expected at most 2160h`},
		{plan(all, `{"signal":"latency"}`), `spec.gates[0].over: is missing`},
		{plan(all, `{"signal":"errors","over":"1s"}`), `spec.gates[0].over: only latency has a threshold`},
		{plan(all, `{"signal":"error"}`), `spec.gates[0].signal: got "error", did you mean errors?`},
		{plan(all, `{"signal":"errors"},{"signal":"errors","alpha":0.1}`), `spec.gates[1]: judges errors as gates[0] does`},
		{plan(all, `{"signal":"latency","over":"1s","compare":"none"}`), `spec.gates[0].maxShare: is missing: without compare nothing else`},
		{plan(all, `{"signal":"errors","compare":"none","maxRatio":2}`), `spec.gates[0].maxRatio: there is nothing to compare with`},
		{plan(all, `{"signal":"errors","maxRatio":0.5}`), `spec.gates[0].maxRatio: got 0.5, expected a number from 1 to 100`},
		{plan(all, `{"signal":"errors","maxShare":0}`), `spec.gates[0].maxShare: got 0, expected a number from 0.000001 to 1`},
		{plan(all, `{"signal":"errors","alpha":0.5}`), `spec.gates[0].alpha: got 0.5`},
		{plan(all, `{"signal":"errors","minRequests":0}`), `spec.gates[0].minRequests: got 0, expected a whole number from 1`},
		// segments
		{segment(`{}`), `spec.audience: is empty: a segment of everyone`},
		{segment(`{"users":[]}`), `spec.audience.users: is empty`},
		{segment(`{"users":["a","a"]}`), `spec.audience.users[1]: "a" stands twice`},
		{segment(`{"users":[""]}`), `spec.audience.users[0]: a targeting key of 0`},
		{segment(`{"users":[7]}`), `spec.audience.users[0]: got the number 7: put it in quotes`},
		{segment(`{"any":[]}`), `spec.audience.any: is empty`},
		{segment(`{"any":[{"percent":1},{}]}`), `spec.audience.any[1]: is empty, which would take everyone`},
		{segment(strings.Repeat(`{"any":[`, 10) + `{"percent":1}` + strings.Repeat(`]}`, 10)), `spec.audience` + strings.Repeat(".any[0]", 9) + `: nests too deep`},
		{segment(`{"rule":true}`), `spec.audience.rule: got true, expected a rule`},
		{segment(`{"rule":null}`), `spec.audience.rule: got null, expected a rule`},
		{segment(`{"rule":{"bad":1}}`), `spec.audience.rule: unknown operator bad`},
		{segment(`{"segment":"No"}`), `spec.audience.segment: "No" is no name`},
		// releases
		{release(`"v1"`, `"v/1"`), `spec.version: "v/1" is no version`},
		{release(zeros, "sha256:12"), `spec.digest: got "sha256:12", expected sha256: and 64 hexadecimal digits`},
		{release(`"v1"`, `"v2"`), `metadata.name: got "shop/v1", expected "shop/v2", its service and version`},
		{release(`"size":1`, `"size":0`), `spec.size: got 0, expected a whole number of at least 1`},
		{release(`2026-01-01T00:00:00Z`, `today`), `spec.created: got "today", expected a time such as`},
	} {
		_, ps := Decode(tt.raw, badRule)
		if len(ps) == 0 {
			t.Errorf("not refused: %s, expected %s", tt.raw, tt.want)
			continue
		}
		if got := ps[0].Text(); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s\n got %s\nwant %s", tt.raw, got, tt.want)
		}
	}
}

func TestProblemsAreBounded(t *testing.T) {
	_, ps := Decode(envelopeOf(KindSegment, "s", `{"audience":{"users":[1`+strings.Repeat(",1", 5000)+`]}}`), nil)
	if len(ps) != maxProblems {
		t.Errorf("%d problems, expected %d", len(ps), maxProblems)
	}
	var many strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&many, `"instan%d":1,`, i)
	}
	if _, ps := Decode(envelopeOf(KindService, "s", `{`+many.String()+`"plan":"p"}`), nil); len(ps) != maxProblems {
		t.Errorf("%d problems, expected %d", len(ps), maxProblems)
	}
	if _, ps := Decode(append([]byte(`"`), make([]byte, MaxBytes)...), nil); len(ps) != 1 || !strings.Contains(ps[0].Msg, "at most 1048576") {
		t.Errorf("too large: %v", ps)
	}
}

func TestCanonicalFormIsStable(t *testing.T) {
	a := envelopeOf(KindRingPlan, "p", `{"gates":[],"rings":[{"bake":"90m","audience":{"rule":{"and":[{"b":1,"a":[2.50]}]}},"name":"x"},{"name":"all"}]}`)
	b := envelopeOf(KindRingPlan, "p", `{"rings":[{"name":"x","audience":{"rule":{"and":[{"a":[2.50],"b":1}]}},"bake":"1h30m0s"},{"name":"all"}]}`)
	ra, pa := Decode(a, nil)
	rb, pb := Decode(b, nil)
	if len(pa)+len(pb) > 0 {
		t.Fatal(pa, pb)
	}
	want := `{"rings":[{"name":"x","audience":{"rule":{"and":[{"a":[2.50],"b":1}]}},"bake":"1h30m"},{"name":"all"}]}`
	if d := cmp.Diff([]string{want, want}, []string{string(ra.Spec), string(rb.Spec)}); d != "" {
		t.Error(d)
	}
	if again, ps := Validate(ra, nil); len(ps) > 0 || cmp.Diff(ra, again) != "" {
		t.Errorf("canonical form changes: %s %v", again.Spec, ps)
	}
}

func TestDefaultsLeaveTheOriginalAlone(t *testing.T) {
	plan := RingPlan{Rings: []Ring{{Name: "a", Bake: fleet.Dur(48 * time.Hour)}, {Name: "b"}}, Gates: []Gate{{Signal: "latency", Over: 1}}}
	full := plan.Defaults()
	if full.Rings[1].Bake != fleet.Dur(48*time.Hour) {
		t.Errorf("the bake of the ring before is not kept: %s", full.Rings[1].Bake)
	}
	if g := full.Gates[0]; g.MaxShare != 1 || g.Compare != "stable" {
		t.Errorf("gate %+v", g)
	}
	if plan.Rings[1].Bake != 0 || plan.Gates[0].Alpha != 0 {
		t.Error("the plan itself was changed")
	}
	if one := (RingPlan{Rings: []Ring{{Name: "a", Bake: fleet.Dur(time.Second)}, {Name: "b"}}}).Defaults(); one.Rings[1].Bake != fleet.Dur(DefaultBake) {
		t.Errorf("default bake %s", one.Rings[1].Bake)
	}
}

func TestAs(t *testing.T) {
	r, _ := Decode(envelopeOf(KindService, "shop", goodService), nil)
	if s, err := As[Service](r); err != nil || s.Plan != "standard" {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := As[RingPlan](r); !errs.Is(err, errs.Invalid) {
		t.Errorf("a service as a plan: %v", err)
	}
}

func TestKindNamed(t *testing.T) {
	for word, want := range map[string]string{"service": "Service", "Services": "Service", "ring-plans": "RingPlan", "plan": "RingPlan", "release": "Release", "RingPlan": "RingPlan"} {
		if got, err := KindNamed(word); got != want || err != nil {
			t.Errorf("%s: %s, %v", word, got, err)
		}
	}
	if _, err := KindNamed("pod"); !errs.Is(err, errs.Invalid) {
		t.Errorf("pod: %v", err)
	}
}

func TestChanges(t *testing.T) {
	a, _ := Decode(envelopeOf(KindRingPlan, "p", goodPlan), nil)
	b, _ := Decode(envelopeOf(KindRingPlan, "p", strings.Replace(strings.Replace(goodPlan, `"bake":"30m"`, `"bake":"1h"`, 1), `"percent":5`, `"segment":"x"`, 1)), nil)
	want := []Change{
		{Path: "spec.rings[0].bake", Old: json.RawMessage(`"30m"`), New: json.RawMessage(`"1h"`)},
		{Path: "spec.rings[1].audience.percent", Old: json.RawMessage(`5`)},
		{Path: "spec.rings[1].audience.segment", New: json.RawMessage(`"x"`)},
	}
	if d := cmp.Diff(want, Changes(&a, &b)); d != "" {
		t.Error(d)
	}
	if c := Changes(&a, &a); len(c) != 0 {
		t.Errorf("no change: %v", c)
	}
	if c := Changes(nil, &a); len(c) != 1 || c[0].Path != "" || c[0].Old != nil {
		t.Errorf("created: %v", c)
	}
}

// Text and the number that is written the same are different.
func TestChangesTellTypesApart(t *testing.T) {
	a, _ := Decode(envelopeOf(KindSegment, "s", `{"audience":{"rule":{"==":[{"var":"n"},1]}}}`), nil)
	b, _ := Decode(envelopeOf(KindSegment, "s", `{"audience":{"rule":{"==":[{"var":"n"},"1"]}}}`), nil)
	if len(Changes(&a, &b)) != 1 {
		t.Error("1 and \"1\" are taken for the same")
	}
}
