package rollout

import "testing"

func TestANewVersionIsJudgedAgainstAllThatItReplaces(t *testing.T) {
	for want, s := range map[string]State{
		"":      {To: "v1"},
		"v1":    {From: "v1", To: "v2"},
		"v1|v2": {From: "v2", To: "v3", Before: map[string]string{"a": "v1", "b": "v2", "c": "v1"}},
		"v2":    {From: "v2", To: "v3", Before: map[string]string{"b": "v3"}}, // it is a hotfix that goes on to everyone
	} {
		if got := s.Beside(); got != want {
			t.Errorf("got %q, expected %q", got, want)
		}
		for _, v := range []string{"", "v1", "v2", "v3"} {
			if got, want := s.Replaces(v), v != "" && (want == v || want == "v1|v2" && v != "v3"); got != want {
				t.Errorf("%+v replaces %q: %v", s, v, got)
			}
		}
	}
}
