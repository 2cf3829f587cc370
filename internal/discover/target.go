package discover

import (
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"

	"github.com/ringfence/ringfence/internal/metric"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/tsdb"
)

// rulesOf are rules as Prometheus' package has them.
func rulesOf(all []resource.Relabel) ([]*relabel.Config, error) {
	var out []*relabel.Config
	for _, r := range all {
		c := relabel.DefaultRelabelConfig
		c.NameValidationScheme = model.UTF8Validation
		for _, s := range r.SourceLabels {
			c.SourceLabels = append(c.SourceLabels, model.LabelName(s))
		}
		if r.Separator != nil {
			c.Separator = *r.Separator
		}
		if r.Regex != "" {
			re, err := relabel.NewRegexp(r.Regex)
			if err != nil {
				return nil, err
			}
			c.Regex = re
		}
		if r.Replacement != nil {
			c.Replacement = *r.Replacement
		}
		if r.Action != "" {
			c.Action = relabel.Action(r.Action)
		}
		c.Modulus, c.TargetLabel = uint64(max(r.Modulus, 0)), r.TargetLabel
		if err := c.Validate(model.UTF8Validation); err != nil {
			return nil, err
		}
		out = append(out, &c)
	}
	return out, nil
}

// expand makes targets of a group: what rules drop is left out.
func expand(n Named, g group, rules []*relabel.Config, token string) (out []tsdb.Target) {
	for _, address := range g.Targets {
		b := labels.NewBuilder(labels.EmptyLabels())
		for k, v := range n.Spec.Labels {
			b.Set(k, v)
		}
		for k, v := range g.Labels {
			b.Set(k, v)
		}
		b.Set(model.AddressLabel, address)
		b.Set(model.SchemeLabel, n.Spec.Scheme)
		b.Set(model.MetricsPathLabel, n.Spec.Path)
		b.Set("job", n.Name)
		if !relabel.ProcessBuilder(b, rules...) {
			continue
		}
		at := b.Get(model.AddressLabel)
		if at == "" || strings.ContainsAny(at, "/?#@ ") {
			continue
		}
		url := b.Get(model.SchemeLabel) + "://" + at + "/" + strings.TrimPrefix(b.Get(model.MetricsPathLabel), "/")
		own := map[string]string{}
		b.Labels().Range(func(l labels.Label) {
			if !strings.HasPrefix(l.Name, "__") && l.Name != metric.Name {
				own[l.Name] = l.Value
			}
		})
		own["job"] = n.Name
		delete(own, "service")
		if n.Spec.Service != "" {
			own["service"] = n.Spec.Service
		}
		out = append(out, tsdb.Target{URL: url, Labels: own, Interval: n.Spec.Interval.D(0), Timeout: n.Spec.Timeout.D(0), BearerToken: token})
	}
	return out
}
