package ui

import "testing"

func TestWhatDiffersByUnitIsSaidOfEach(t *testing.T) {
	for want, p := range map[string]perUnit{
		"":                        nil,
		"v1":                      perUnit{}.add("a", "v1").add("b", "v1"),
		"v2 in a, v1 in b":        perUnit{}.add("a", "v2").add("b", "v1"),
		"nothing in a, v1 in b":   perUnit{}.add("a", "").add("b", "v1"),
		"canary in a, all in b-1": perUnit{}.add("a", "canary").add("b-1", "all"),
	} {
		if got := p.text(); got != want {
			t.Errorf("got %q, expected %q", got, want)
		}
	}
}
