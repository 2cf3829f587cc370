package resource

import (
	"strings"
	"testing"
)

// refusal is a resource and the beginning of what is said about it first: the field, what is wrong and what was expected.
type refusal struct {
	raw  []byte
	want string
}

func testRefusals(t *testing.T, table []refusal) {
	t.Helper()
	for _, tt := range table {
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

// serviceWith is a good service with some of its text replaced, and releaseWith a release.
func serviceWith(edit ...string) []byte {
	return envelopeOf(KindService, "shop", strings.NewReplacer(edit...).Replace(goodService))
}

func releaseWith(edit ...string) []byte {
	return envelopeOf(KindRelease, "shop/v1", strings.NewReplacer(edit...).Replace(goodRelease))
}

func planOf(rings, gates string) []byte {
	return envelopeOf(KindRingPlan, "p", `{"rings":[`+rings+`],"gates":[`+gates+`]}`)
}

func segmentOf(audience string) []byte {
	return envelopeOf(KindSegment, "s", `{"audience":`+audience+`}`)
}

const (
	route = `"host":"shop.localhost"`
	all   = `{"name":"all"}`
	ann   = `"audience":{"users":["ann"]}`
)

func TestEnvelopeRefusals(t *testing.T) {
	testRefusals(t, []refusal{
		{[]byte(``), `not JSON`},
		{[]byte(`[]`), `got a list, expected a resource with apiVersion`},
		{[]byte(`{"a":1,"a":2}`), `a: stands twice`},
		{[]byte(`{} {}`), `more follows`},
		{[]byte(`{"kind":"Service"}`), `apiVersion: missing, expected one of ringfence.dev/v1`},
		{[]byte(strings.Repeat("[", 100)), `[0][0]`},
		{envelopeOf("Servce", "shop", goodService), `kind: got "Servce", did you mean Service?, expected one of ` + strings.Join(Kinds, ", ")},
		{envelopeOf("Deployment", "shop", goodService), `kind: got "Deployment", expected one of`},
		{envelopeOf(KindService, "Shop", goodService), `metadata.name: "Shop" is no name, expected lower-case`},
		{envelopeOf(KindService, strings.Repeat("a", 64), goodService), `metadata.name: `},
		{envelopeOf(KindService, "shop", `null`), `spec: has no value`},
		{envelopeOf(KindService, "shop", `[]`), `spec: got a list, expected fields such as`},
		{[]byte(strings.Replace(string(serviceWith()), `{"name":"shop"}`, `{"name":"shop","labels":{"a b":"x"}}`, 1)), `metadata.labels["a b"]: "a b" is no label`},
		{[]byte(strings.Replace(string(serviceWith()), `ringfence.dev/v1`, `ringfence.dev/v2`, 1)), `apiVersion: got "ringfence.dev/v2", did you mean`},
	})
}

func TestTypeRefusals(t *testing.T) {
	testRefusals(t, []refusal{
		{serviceWith(`"plan"`, `"instancs":2,"plan"`), `spec.instancs: unknown field instancs, expected one of owner`},
		{serviceWith(`"command"`, `"instancs":2,"command"`), `spec.run.instancs: unknown field instancs, did you mean instances?, expected one of command`},
		{serviceWith(`"run"`, `"Run"`), `spec.Run: unknown field Run, did you mean run?`},
		{serviceWith(`"plan":"standard",`, ``), `spec.plan: missing`},
		{serviceWith(`"standard"`, `7`), `spec.plan: got the number 7: put it in quotes, expected text`},
		{serviceWith(`"plan"`, `"drain":30,"plan"`), `spec.drain: got the number 30, expected a duration such as 30m`},
		{serviceWith(`"plan"`, `"drain":"30","plan"`), `spec.drain: got "30", expected a duration`},
		{serviceWith(`"plan"`, `"drain":"0s","plan"`), `spec.drain: got "0s", expected a duration such as 30m, above zero`},
		{serviceWith(`"plan"`, `"drain":"-5s","plan"`), `spec.drain: got "-5s"`},
		{serviceWith(`"plan"`, `"drain":"48h","plan"`), `spec.drain: 48h is too long, expected at most 24h`},
		{serviceWith(`"command"`, `"instances":0,"command"`), `spec.run.instances: got 0, expected a whole number from 1 to 100`},
		{serviceWith(`"command"`, `"instances":101,"command"`), `spec.run.instances: got 101`},
		{serviceWith(`"command"`, `"instances":1.5,"command"`), `spec.run.instances: got the number 1.5, expected a whole number`},
		{serviceWith(`"command"`, `"instances":"2","command"`), `spec.run.instances: got the text "2", expected a whole number`},
		{serviceWith(`"command"`, `"instances":1e999,"command"`), `spec.run.instances: got 1e999, which is too large`},
		{serviceWith(`"command"`, `"env":{"PORT":8080},"command"`), `spec.run.env.PORT: got the number 8080: put it in quotes`},
		{serviceWith(`"command"`, `"env":["PORT"],"command"`), `spec.run.env: got a list, expected names with values`},
		{serviceWith(route, route+`,"stripPath":"yes"`), `spec.route.stripPath: got the text "yes", expected true or false`},
		{serviceWith(route, route+`,"targetingKey":null`), `spec.route.targetingKey: has no value: leave the field out`},
		{serviceWith(`"plan"`, `"owner":"`+strings.Repeat("x", 201)+`","plan"`), `spec.owner: has 201 bytes, expected at most 200`},
		{serviceWith(`"plan"`, `"owner":"\u0000","plan"`), `spec.owner: holds a zero byte`},
	})
}

func TestServiceRefusals(t *testing.T) {
	testRefusals(t, []refusal{
		{serviceWith(`["{artifact}","--listen","{address}"]`, `[]`), `spec.run.command: has 0 elements, expected at least 1`},
		{serviceWith(`["{artifact}","--listen","{address}"]`, `"{artifact}"`), `spec.run.command: got the text "{artifact}", expected a list`},
		{serviceWith(`"{artifact}"`, `" "`), `spec.run.command[0]: is empty`},
		{serviceWith(`"command"`, `"scale":{"max":5},"command"`), `spec.run.scale: does not say what one instance shall have, expected inFlight or requests`},
		{serviceWith(`"command"`, `"instances":3,"scale":{"max":2,"inFlight":5},"command"`), `spec.run.scale.max: is 2, expected instances, 3, to 100`},
		{serviceWith(`"{artifact}"`, `"shop"`), `spec.run.command: runs nothing of a release, expected {artifact}`},
		{serviceWith(`"command"`, `"env":{"PORT":"80"},"command"`), `spec.run.env.PORT: every instance gets a PORT of its own, expected another name`},
		{serviceWith(`"command"`, `"env":{"RINGFENCE_SERVICE":"x"},"command"`), `spec.run.env.RINGFENCE_SERVICE: every instance gets`},
		{serviceWith(`"command"`, `"env":{"A":"http://{address}"},"command"`), `spec.run.env.A: {address} is not put in here, expected it in the command; PORT, ADDRESS, LISTEN_ADDR are set`},
		{serviceWith(`{address}`, `{adress}`), `spec.run.command[2]: unknown {adress}, did you mean {address}?`},
		{serviceWith(`"command"`, `"env":{"1A":""},"command"`), `spec.run.env["1A"]: "1A" is no name of an environment variable`},
		{serviceWith(`"command"`, `"dir":"srv","command"`), `spec.run.dir: got "srv", expected an absolute path`},
		{serviceWith(`"plan"`, `"ready":{"http":"/x","tcp":true},"plan"`), `spec.ready.tcp: stands next to http`},
		{serviceWith(`"plan"`, `"ready":{"http":"readyz"},"plan"`), `spec.ready.http: got "readyz", expected a path`},
		{serviceWith(`"plan"`, `"ready":{"timeout":"5m"},"plan"`), `spec.ready.timeout: 5m is too long, expected at most within, 1m`},
		{serviceWith(`shop.localhost`, `http://shop`), `spec.route.host: got "http://shop", expected a lower-case host name`},
		{serviceWith(`shop.localhost`, `shop:8080`), `spec.route.host: got "shop:8080"`},
		{serviceWith(`shop.localhost`, `a.*.org`), `spec.route.host: got "a.*.org"`},
		{serviceWith(route, `"path":"shop"`), `spec.route.path: got "shop", expected a path such as /shop`},
		{serviceWith(route, `"path":"/a/../b"`), `spec.route.path: got`},
		{serviceWith(route, `"path":"/a?b"`), `spec.route.path: got`},
		{serviceWith(route, `"path":"/shop/"`), `spec.route.path: ends with /, expected /shop`},
		{serviceWith(route, route+`,"health":{"failures":-2}`), `spec.route.health.failures: `},
		{serviceWith(route, route+`,"health":{"share":101}`), `spec.route.health.share: `},
		{serviceWith(route, route+`,"health":{"out":"2h"}`), `spec.route.health.out: 2h is too long, expected at most 1h`},
		{serviceWith(route, route+`,"limits":{"inFlight":-1}`), `spec.route.limits.inFlight: `},
		{serviceWith(route, route+`,"limits":{"inFlight":9,"priority":{"default":"urgent"}}`), `spec.route.limits.priority.default: got "urgent", expected `},
		{serviceWith(route, route+`,"limits":{"inFlight":9,"priority":{"paths":{"/a":"urgent"}}}`), `spec.route.limits.priority.paths["/a"]: got "urgent", expected critical, normal or low`},
		{serviceWith(route, route+`,"limits":{"priority":{"header":"X-Priority"}}`), `spec.route.limits.priority: there is no limit that a priority could count for, expected inFlight or adaptive`},
		{serviceWith(route, `"stripPath":true`), `spec.route.stripPath: there is no path`},
		{serviceWith(route, `"protocol":"grpc"`), `spec.route.protocol: got "grpc", expected one of http, h2c`},
		{serviceWith(route, `"maxBodyBytes":-2`), `spec.route.maxBodyBytes: got -2`},
		{serviceWith(route, `"maxBodyBytes":0`), `spec.route.maxBodyBytes: got 0: leave the field out for the default, expected a whole number other than 0`},
		{serviceWith(route, `"targetingKey":{"header":"X User"}`), `spec.route.targetingKey.header: got "X User"`},
		{serviceWith(route, `"attributes":{"plan":{}}`), `spec.route.attributes.plan: names no source`},
		{serviceWith(route, `"attributes":{"user.plan":{"jwt":"plan"}}`), `spec.route.attributes["user.plan"]: no rule could read it`},
		{serviceWith(route, `"attributes":{"targetingKey":{"header":"X"}}`), `spec.route.attributes.targetingKey: targetingKey is reserved`},
	})
}

func TestPlanRefusals(t *testing.T) {
	testRefusals(t, []refusal{
		{planOf(``, ``), `spec.rings: has 0 elements, expected at least 1`},
		{planOf(`{"name":"all",`+ann+`}`, ``), `spec.rings[0].audience: the last ring takes everyone`},
		{planOf(`{"name":"a"},`+all, ``), `spec.rings[0].audience: is missing: only the last ring takes everyone`},
		{planOf(`{"name":"all",`+ann+`},`+all, ``), `spec.rings[1].name: "all" is also the name of rings[0]`},
		{planOf(`{"name":"A",`+ann+`},`+all, ``), `spec.rings[0].name: "A" is no name`},
		{planOf(`{"name":"a",`+ann+`},{"name":"b",`+ann+`},`+all, ``), `spec.rings[1].audience: is that of rings[0]: nobody would be new`},
		{planOf(`{"name":"a","audience":{"percent":10}},{"name":"b","audience":{"percent":5}},`+all, ``), `spec.rings[1].audience.percent: 5 does not grow: nobody would be new, expected more than 10, that of rings[0]`},
		{planOf(`{"name":"a","audience":{"percent":100}},`+all, ``), `spec.rings[0].audience.percent: 100 is everyone`},
		{planOf(`{"name":"a","audience":{"percent":0}},`+all, ``), `spec.rings[0].audience.percent: got 0, expected a number from 0.001 to 100`},
		{planOf(`{"name":"a","audience":{"percent":5,"users":["x"]}},`+all, ``), `spec.rings[0].audience: has both users and percent`},
		{planOf(`{"name":"a",`+ann+`,"bake":"2h"},{"name":"all","bake":"1h"}`, ``), `spec.rings[1].bake: 1h is shorter than in the ring before, expected at least 2h, that of rings[0]`},
		{planOf(`{"name":"a",`+ann+`},{"name":"all","bake":"1h"}`, ``), `spec.rings[1].bake: 1h is shorter than in the ring before, expected at least 24h`},
		{planOf(`{"name":"all","bake":"2400h"}`, ``), `spec.rings[0].bake: 2400h is too long, expected at most 2160h`},
		{planOf(all, `{"signal":"latency"}`), `spec.gates[0].over: is missing`},
		{planOf(all, `{"signal":"errors","over":"1s"}`), `spec.gates[0].over: signal errors has no such setting`},
		{planOf(all, `{"signal":"error"}`), `spec.gates[0].signal: got "error", did you mean errors?`},
		{planOf(all, `{"signal":"errors"},{"signal":"errors","alpha":0.1}`), `spec.gates[1]: is called errors as gates[0] is`},
		{planOf(all, `{"signal":"latency","over":"1s","compare":"none"}`), `spec.gates[0].maxShare: is missing: without compare nothing else`},
		{planOf(all, `{"signal":"errors","compare":"none","maxRatio":2}`), `spec.gates[0].maxRatio: there is nothing to compare with`},
		{planOf(all, `{"signal":"errors","maxRatio":0.5}`), `spec.gates[0].maxRatio: got 0.5, expected a number from 1 to 100`},
		{planOf(all, `{"signal":"errors","maxShare":0}`), `spec.gates[0].maxShare: got 0, expected a number from 0.000001 to 1`},
		{planOf(all, `{"signal":"errors","alpha":0.5}`), `spec.gates[0].alpha: got 0.5`},
		{planOf(all, `{"signal":"errors","minRequests":0}`), `spec.gates[0].minRequests: got 0, expected a whole number from 1`},
	})
}

func TestSegmentRefusals(t *testing.T) {
	testRefusals(t, []refusal{
		{segmentOf(`{}`), `spec.audience: is empty: a segment of everyone`},
		{segmentOf(`{"users":[]}`), `spec.audience.users: is empty`},
		{segmentOf(`{"users":["a","a"]}`), `spec.audience.users[1]: "a" stands twice`},
		{segmentOf(`{"users":[""]}`), `spec.audience.users[0]: a targeting key of 0`},
		{segmentOf(`{"users":[7]}`), `spec.audience.users[0]: got the number 7: put it in quotes`},
		{segmentOf(`{"any":[]}`), `spec.audience.any: is empty`},
		{segmentOf(`{"any":[{"percent":1},{}]}`), `spec.audience.any[1]: is empty, which would take everyone`},
		{segmentOf(strings.Repeat(`{"any":[`, 10) + `{"percent":1}` + strings.Repeat(`]}`, 10)), `spec.audience` + strings.Repeat(".any[0]", 9) + `: nests too deep`},
		{segmentOf(`{"rule":true}`), `spec.audience.rule: got true, expected a rule`},
		{segmentOf(`{"rule":null}`), `spec.audience.rule: got null, expected a rule`},
		{segmentOf(`{"rule":{"bad":1}}`), `spec.audience.rule: unknown operator bad`},
		{segmentOf(`{"segment":"No"}`), `spec.audience.segment: "No" is no name`},
	})
}

func TestReleaseRefusals(t *testing.T) {
	testRefusals(t, []refusal{
		{releaseWith(`"v1"`, `"v/1"`), `spec.version: "v/1" is no version`},
		{releaseWith(zeros, "sha256:12"), `spec.digest: got "sha256:12", expected sha256: and 64 hexadecimal digits`},
		{releaseWith(`"v1"`, `"v2"`), `metadata.name: got "shop/v1", expected "shop/v2", its service and version`},
		{releaseWith(`"size":1`, `"size":0`), `spec.size: got 0, expected a whole number of at least 1`},
		{releaseWith(`2026-01-01T00:00:00Z`, `today`), `spec.created: got "today", expected a time such as`},
	})
}

func TestPlansThatNothingWouldEverPass(t *testing.T) {
	early := `{"name":"early",` + ann + `},` + all
	testRefusals(t, []refusal{
		{planOf(early, `{"signal":"errors","rings":["early"]}`), `spec.rings[1]: no gate decides in ring all, so nothing would ever pass it, expected a gate that judges while it bakes`},
		{planOf(early, `{"signal":"errors","informing":true}`), `spec.rings[0]: no gate decides in ring early`},
		{planOf(early, `{"signal":"webhook","when":"before","webhook":{"url":"https://x.test"}}`), `spec.rings[0]: no gate decides`},
	})
	for _, gates := range []string{``, `{"signal":"errors","rings":["early"]},{"signal":"probe","when":"always","probe":{"path":"/"}}`} {
		if _, ps := Decode(planOf(early, gates), badRule); len(ps) > 0 {
			t.Errorf("gates %s are refused: %s", gates, ps[0].Text())
		}
	}
}
