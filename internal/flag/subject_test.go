package flag

import "testing"

// No two flags have the same name among services, whatever their keys and environments hold, and each is read as it was written.
func TestSubjects(t *testing.T) {
	seen := map[string]Subject{}
	for _, key := range []string{"a", "a:b", "a-3", "a.b", "a/b"} {
		for _, env := range []string{Production, "b", "b:c", "eu/west"} {
			s := Subject{"shop", key, env}
			if o, taken := seen[s.String()]; taken {
				t.Errorf("%+v and %+v are both %s", s, o, s)
			}
			seen[s.String()] = s
			if got, err := ParseSubject(s.String()); err != nil || got != s {
				t.Errorf("%s: read as %+v, %v", s, got, err)
			}
		}
	}
}
