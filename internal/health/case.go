package health

import (
	"strconv"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// maxSamples bounds a case: more than eleven days of one sample a second.
const maxSamples = 1_000_000

// ParseCase reads a case to judge offline: {"gate":{…},"samples":[{"canary":{"requests":…,"bad":…},"stable":{…}},…]}.
// Settings of the gate are optional, and come back as given; a side may be null or missing where there was no data.
// Anything else is refused with its line and path: a field that is misspelt, given twice or of the wrong type, a count
// left out, a gate or sample that cannot be.
func ParseCase(data []byte) (Gate, []Sample, error) {
	var gate Gate
	var samples []Sample
	r := newReader(data)
	err := r.readCase(settings{
		"over":          func(path string) error { return readOver(r, path, &gate.Over) },
		"compare":       func(path string) error { return ignored(r.text(path, &gate.Compare)) },
		"alpha":         setting(r, &gate.Alpha),
		"maxRatio":      setting(r, &gate.MaxRatio),
		"maxShare":      setting(r, &gate.MaxShare),
		"minRequests":   count(r, &gate.MinRequests),
		"expectedShare": func(path string) error { return ignored(r.number(path, &gate.ExpectedShare)) },
	}, &gate, "samples", func(path string) error {
		s, err := readSample(r, path)
		samples = append(samples, s)
		return err
	})
	if err == nil {
		err = ValidateSamples(samples)
	}
	if err != nil {
		return Gate{}, nil, err
	}
	return gate, samples, nil
}

// settings are the fields of a gate of one kind.
type settings map[string]field

// readCase reads a case of a gate, with its signal, its name and the given settings, and of a list.
func (r *reader) readCase(of settings, gate *Gate, list string, element field) error {
	of["signal"] = func(path string) error { return ignored(r.text(path, &gate.Signal)) }
	of["name"] = func(path string) error { return ignored(r.text(path, &gate.Name)) }
	given := false
	err := r.object("", map[string]field{
		"gate": func(path string) error { return ignored(r.optional(path, of)) },
		list: func(path string) error {
			given = true
			return r.array(path, maxSamples, element)
		},
	})
	if err == nil {
		err = r.end()
	}
	if err == nil && !given {
		err = errs.E(errs.Invalid, "%s: missing, expected a list of %s", list, list)
	}
	if err == nil {
		err = Validate(*gate)
	}
	return err
}

// ignored is for values that may as well be left out.
func ignored(_ bool, err error) error { return err }

// setting reads a number of which 0 would be taken for left open, which is not what somebody means by it.
func setting(r *reader, to *float64) field {
	return func(path string) error {
		given, err := r.number(path, to)
		if given && *to == 0 {
			return r.fault(path, "0", "a number above 0")
		}
		return err
	}
}

// count reads a whole number that may be left out.
func count(r *reader, to **int64) field {
	return func(path string) error {
		var n int64
		given, err := r.whole(path, &n)
		if given {
			*to = &n
		}
		return err
	}
}

// readOver takes a duration, as plans write it, or seconds, as metrics do.
func readOver(r *reader, path string, to *string) error {
	if _, err := r.text(path, to); err != nil {
		return err
	}
	if d, err := time.ParseDuration(*to); err == nil {
		*to = strconv.FormatFloat(d.Seconds(), 'g', -1, 64)
	}
	return nil
}

func readSample(r *reader, path string) (Sample, error) {
	var s Sample
	err := r.object(path, map[string]field{
		"canary": func(path string) error { return readCounts(r, path, &s.Canary) },
		"stable": func(path string) error { return readCounts(r, path, &s.Stable) },
	})
	return s, err
}

// readCounts reads a side, nil for null. Requests and bad must be there: a count left out is not a count of 0.
func readCounts(r *reader, path string, to **Counts) error {
	var c Counts
	requests, bad := false, false
	given, err := r.optional(path, map[string]field{
		"requests": func(path string) (err error) { requests, err = r.whole(path, &c.Requests); return err },
		"bad":      func(path string) (err error) { bad, err = r.whole(path, &c.Bad); return err },
		"users":    func(path string) error { return ignored(r.whole(path, &c.Users)) },
	})
	switch {
	case err != nil || !given:
		return err
	case !requests:
		return r.fault(path+".requests", "nothing", "a whole number; where there is no data, the side is null")
	case !bad:
		return r.fault(path+".bad", "nothing", "a whole number; where there is no data, the side is null")
	}
	*to = &c
	return nil
}
