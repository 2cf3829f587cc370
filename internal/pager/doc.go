// Package pager takes alerts from all who see that something is wrong, and tells the right people once.
//
// A source (rules, objectives, probes, another program) calls Send with every alert that holds, again and again while it
// holds: at the latest every two minutes, as an alert that says nothing of its end is unheard after five. When it is over
// it sends the alert once more with EndsAt. An alert is known by its labels alone: whatever changes while it lasts, a
// value or a sentence, belongs into annotations. What a source should set:
//
//	alert.Alert{
//		Labels: map[string]string{
//			alert.Name:     "ErrorBudgetBurn",  // what is wrong; needed
//			alert.Severity: alert.Paging,       // page, ticket or info; ticket when it is left out
//			alert.Service:  "shop",             // fills in owner, runbook, impact and what depends on what
//		},
//		Annotations:  map[string]string{alert.Summary: "shop burns its budget 14 times too fast"},
//		StartsAt:     since, // when it began in the data; zero: now
//		GeneratorURL: "/services/shop",
//	}
//
// Send returns when the alerts are stored; an error of kind errs.Unavailable is worth another try, errs.Invalid is not.
// Sending the same alert twice, also to two control planes, is one alert.
//
// Silence is not good news: an alert of which nothing is heard any more is unheard, not resolved. It goes on firing
// for a while before it is given up as expired, and whoever is told of that is told that nobody saw its end.
//
// Alerts are grouped along the routes that are declared (AlertRouting), those that another one explains are
// symptoms of it, and each group is one page: told when it begins, when it grows, again while it lasts, and when it is
// over. Who takes pages further, such as incidents, is called through the port Pages, at least once for every change of a page, and
// again until it answers without an error.
//
// What is kept (alerts, what was told of each group and to whom, silences) is in the store. Of several control planes
// on one database, one tells of a group at a time: it claims the group by revision before it tells, and writes down after it
// what was taken. A process that dies between the two is followed by one repeat, which says that it may be one.
//
// Errors: errs.Invalid for alerts and silences that are none, errs.Missing for what there is none of.
package pager
