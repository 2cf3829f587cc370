package health

import "github.com/ringfence/ringfence/internal/errs"

// ParseHistograms reads a case of the signal quantile: {"gate":{…},"samples":[{"bounds":[…],"canary":[…],"stable":[…]},…]},
// the sides with one count more than there are bounds. It is as strict as ParseCase.
func ParseHistograms(data []byte) (Gate, []HistogramSample, error) {
	var gate Gate
	var samples []HistogramSample
	r := newReader(data)
	err := r.readCase(settings{
		"quantile":    setting(r, &gate.Quantile),
		"compare":     func(path string) error { return ignored(r.text(path, &gate.Compare)) },
		"alpha":       setting(r, &gate.Alpha),
		"maxRatio":    setting(r, &gate.MaxRatio),
		"max":         bound(r, &gate.Max),
		"minRequests": count(r, &gate.MinRequests),
	}, &gate, "samples", func(path string) error {
		s, err := readHistogramSample(r, path)
		samples = append(samples, s)
		return err
	})
	if err != nil {
		return Gate{}, nil, err
	}
	return gate, samples, nil
}

func readHistogramSample(r *reader, path string) (HistogramSample, error) {
	var s HistogramSample
	err := r.object(path, map[string]field{
		"bounds": func(path string) error {
			return r.array(path, MaxBounds, func(path string) error {
				var v float64
				given, err := r.number(path, &v)
				if err == nil && !given {
					err = r.fault(path, "null", "a number")
				}
				s.Bounds = append(s.Bounds, v)
				return err
			})
		},
		"canary": func(path string) error { return readBuckets(r, path, &s.Canary) },
		"stable": func(path string) error { return readBuckets(r, path, &s.Stable) },
	})
	if err != nil {
		return s, err
	}
	if fault := histogramFault(s); fault != "" {
		return s, errs.E(errs.Invalid, "line %d: %s.%s", r.line(), path, fault)
	}
	return s, nil
}

// readBuckets reads a side, nil for null.
func readBuckets(r *reader, path string, to **Histogram) error {
	var h Histogram
	given, err := r.list(path, MaxBounds+1, func(path string) error {
		var n int64
		given, err := r.whole(path, &n)
		if err == nil && !given {
			err = r.fault(path, "null", "a whole number; where there is no data, the side is null")
		}
		h.Counts = append(h.Counts, n)
		return err
	})
	if given {
		*to = &h
	}
	return err
}
