package alert

import (
	"fmt"
	"time"
)

// Against says whether alerts speak against a version of a service that is rolled out since a time: fail when one began
// to fire since, hold when one fires that did before, pass when none fires. What is only information, what is silenced, and
// what is of another version says nothing.
func Against(all []Standing, service, version string, since time.Time) (verdict, why string) {
	verdict, why = "pass", "no alert of "+service+" fires"
	for _, a := range all {
		of := a.Labels[Version]
		if !a.Firing() || a.Labels[Service] != service || of != "" && of != version || Rank(a.Labels[Severity]) < 2 || len(a.SilencedBy) > 0 {
			continue
		}
		if !a.StartsAt.Before(since) && !a.Unheard {
			return "fail", fmt.Sprintf("%s fires since %s", a.Labels[Name], a.StartsAt.UTC().Format(time.TimeOnly))
		}
		verdict, why = "hold", fmt.Sprintf("%s fired before the change was begun", a.Labels[Name])
		if a.Unheard {
			why = "whether " + a.Labels[Name] + " still fires is not known"
		}
	}
	return verdict, why
}
