package resource

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func decodeAll(t *testing.T, raws ...[]byte) []Resource {
	t.Helper()
	var set []Resource
	for _, raw := range raws {
		r, ps := Decode(raw, nil)
		if len(ps) > 0 {
			t.Fatalf("%s: %v", raw, ps)
		}
		set = append(set, r)
	}
	return set
}

func TestCheck(t *testing.T) {
	service := func(name, plan, route string) []byte {
		return envelopeOf(KindService, name, `{"plan":"`+plan+`","run":{"command":["{artifact}","{port}"]},"route":{`+route+`}}`)
	}
	segment := func(name, of string) []byte {
		return envelopeOf(KindSegment, name, `{"audience":{"any":[{"percent":1},{"segment":"`+of+`"}]}}`)
	}
	users := envelopeOf(KindSegment, "users", `{"audience":{"users":["ann"]}}`)
	plan := envelopeOf(KindRingPlan, "p", goodPlan)
	for name, tt := range map[string]struct {
		set  [][]byte
		want string // "index text" of every problem, a line each
	}{
		"right": {[][]byte{service("a", "p", `"host":"a.org"`), service("b", "p", `"host":"a.org","path":"/b"`), plan, segment("s", "users"), users}, ""},
		"no plan": {[][]byte{service("a", "q", ``), plan},
			"0 spec.plan: there is no RingPlan \"q\", did you mean p?, expected the name of a RingPlan in the same set or applied before\n"},
		"no segment": {[][]byte{segment("s", "gone")}, "0 spec.audience.any[1].segment: there is no Segment \"gone\", expected the name of a Segment in the same set or applied before\n"},
		"no segment of a ring": {[][]byte{envelopeOf(KindRingPlan, "p", `{"rings":[{"name":"a","audience":{"segment":"usrs"}},{"name":"b"}]}`), users},
			"0 spec.rings[0].audience.segment: there is no Segment \"usrs\", did you mean users?, expected the name of a Segment in the same set or applied before\n"},
		"same route": {[][]byte{plan, service("a", "p", ``), service("b", "p", `"path":"/"`)},
			"2 spec.route: service/a has the same host and path already, expected another host or path\n"},
		"itself": {[][]byte{segment("s", "s")}, "0 spec.audience.any[1].segment: goes in a circle: s → s, expected a segment that does not lead back here\n"},
		"circle of three, and one that leads into it": {[][]byte{segment("a", "b"), segment("b", "c"), segment("c", "a"), segment("d", "a")},
			"2 spec.audience.any[1].segment: goes in a circle: c → a → b → c, expected a segment that does not lead back here\n"},
		"two circles, blamed on their latest members": {[][]byte{segment("b", "a"), segment("c", "b"), segment("d", "d"), segment("a", "c")},
			"3 spec.audience.any[1].segment: goes in a circle: a → c → b → a, expected a segment that does not lead back here\n" +
				"2 spec.audience.any[1].segment: goes in a circle: d → d, expected a segment that does not lead back here\n"},
		"twice": {[][]byte{users, users}, "1 metadata.name: is declared twice, also as number 1, expected each once\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			for _, p := range Check(decodeAll(t, tt.set...)) {
				fmt.Fprintf(&b, "%d %s\n", p.Index, p.Text())
			}
			if d := cmp.Diff(tt.want, b.String()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestUsedBy(t *testing.T) {
	set := decodeAll(t, envelopeOf(KindService, "shop", goodService), envelopeOf(KindSegment, "s", `{"audience":{"any":[{"segment":"users"}]}}`))
	if d := cmp.Diff([]string{"service/shop (spec.plan)"}, UsedBy(set, KindRingPlan, "standard")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"segment/s (spec.audience.any[0].segment)"}, UsedBy(set, KindSegment, "users")); d != "" {
		t.Error(d)
	}
	if got := UsedBy(set, KindSegment, "standard"); got != nil {
		t.Errorf("a segment of the plan's name: %v", got)
	}
}

// A long chain of segments is looked through in no time, and a long circle is told in bounded words.
func TestLongChains(t *testing.T) {
	const n = 1000
	var raws [][]byte
	for i := range n {
		raws = append(raws, envelopeOf(KindSegment, fmt.Sprintf("s%d", i), fmt.Sprintf(`{"audience":{"segment":"s%d"}}`, (i+1)%n)))
	}
	set := decodeAll(t, raws...)
	if ps := Check(set); len(ps) != 1 || len(ps[0].Msg) > 500 || ps[0].Index != n-1 {
		t.Errorf("%d problems", len(ps))
	}
	end := decodeAll(t, envelopeOf(KindSegment, fmt.Sprintf("s%d", n-1), `{"audience":{"percent":1}}`))
	if ps := Check(append(set[:n-1], end...)); len(ps) > 0 {
		t.Errorf("a chain with an end: %v", ps[0])
	}
}
