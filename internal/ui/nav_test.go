package ui

import "testing"

func TestNavigation(t *testing.T) {
	for path, want := range map[string]string{
		"/": "Changes Overview", "/rollouts/shop-2": "Changes Overview", "/services/shop": "Changes Overview", "/plans/standard": "Changes Plans", "/flags": "Flags Flags",
		"/flag-sets/a": "Flags Flags", "/experiments/x": "Flags Experiments", "/alerts/4f2c": "Watching Alerts", "/noise": "Watching Noise", "/events": "Record Events", "/eventsx": "",
	} {
		v := &visit{Path: path, Flags: true, Labs: true, Watches: true}
		got, letters := "", map[string]string{}
		for _, g := range v.Nav() {
			for _, l := range g.Links {
				if l.Current {
					got += g.Name + " " + l.Text
				}
				if l.Current && !g.Current {
					t.Errorf("%s: %s is not current", path, g.Name)
				}
				if at := letters[l.Letter]; l.Letter != "" && at != "" {
					t.Errorf("g %s leads to %s and to %s", l.Letter, at, l.Path)
				}
				letters[l.Letter] = l.Path
			}
		}
		if got != want {
			t.Errorf("%s is in %q, expected %q", path, got, want)
		}
	}
}
