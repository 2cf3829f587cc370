package ui

import "testing"

func TestHowLongItTakes(t *testing.T) {
	for _, c := range []struct {
		more int64
		rate float64
		want string
	}{
		{0, 5, ""}, {100, 0, ""}, {1, 100, " At this traffic that takes about 1 s."}, {450, 5, " At this traffic that takes about 1 min 30 s."},
		{7300, 1, " At this traffic that takes about 2 h 2 min."}, {1e9, 1, " At this traffic that takes more than a month."},
	} {
		if got := soonAt(c.more, c.rate); got != c.want {
			t.Errorf("%d at %g/s: %q, expected %q", c.more, c.rate, got, c.want)
		}
	}
	for text, want := range map[string]string{
		"baking for another 3h12m0s": "baking for another 3 h 12 min", "v2 has 12 of 3 instances": "v2 has 12 of 3 instances", "gone since 10s": "gone since 10 s",
	} {
		if got := plainSpans(text); got != want {
			t.Errorf("%q, expected %q", got, want)
		}
	}
}
