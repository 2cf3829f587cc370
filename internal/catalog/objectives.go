package catalog

import (
	"slices"

	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/slo"
)

// objectives finds SLOs that cannot be watched, though each document is right on its own: a query that cannot be read, or an alert
// that can never fire. An Index is the position in whole.
func objectives(whole []resource.Resource, set []resource.Resource) []resource.Problem {
	if !slices.ContainsFunc(set, func(r resource.Resource) bool { return resource.IsOpenSLO(r.Kind) }) {
		return nil
	}
	var problems []resource.Problem
	for _, c := range slo.Compile(whole) {
		problems = append(problems, c.Problems...)
	}
	return problems
}
