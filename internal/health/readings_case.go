package health

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/ringfence/ringfence/internal/errs"
)

// ParseReadings reads a case of the signals query, webhook, command and probe: {"gate":{…},"readings":[0.1,null,…]}, each a
// number, null for no data, or {"value":…,"verdict":"pass|hold|fail","text":"…"}. It is as strict as ParseCase.
func ParseReadings(data []byte) (Gate, []Reading, error) {
	var gate Gate
	var readings []Reading
	r := newReader(data)
	err := r.readCase(settings{
		"max":      bound(r, &gate.Max),
		"min":      bound(r, &gate.Min),
		"failures": func(path string) error { return readFailures(r, path, &gate.Failures) },
	}, &gate, "readings", func(path string) error {
		one, err := readReading(r, path)
		readings = append(readings, one)
		return err
	})
	if err == nil && kindOf(gate.Signal) != byReadings { // left open it is errors
		err = errs.E(errs.Invalid, "gate.signal: got %s, expected query, webhook, command or probe, since readings are to be judged", quoted(gate.Signal))
	}
	if err != nil {
		return Gate{}, nil, err
	}
	return gate, readings, nil
}

func readFailures(r *reader, path string, to *int) error {
	var n int64
	given, err := r.whole(path, &n)
	if given && (n < 1 || n > maxFailures) {
		return r.fault(path, strconv.FormatInt(n, 10), "a whole number from 1 to "+strconv.Itoa(maxFailures))
	}
	*to = int(n)
	return err
}

func readReading(r *reader, path string) (Reading, error) {
	var one Reading
	token, err := r.token(path)
	switch {
	case err != nil || token == nil:
		return one, err
	case token != json.Delim('{'):
		return one, readValue(r, path, token, &one.Value)
	}
	said := false
	err = r.inside(path, map[string]field{
		"value": func(path string) error {
			said = true
			token, err := r.token(path)
			if err != nil || token == nil {
				return err
			}
			return readValue(r, path, token, &one.Value)
		},
		"verdict": func(path string) error {
			said = true
			var v string
			given, err := r.text(path, &v)
			if one.Verdict = Verdict(v); given && v != string(Pass) && v != string(Hold) && v != string(Fail) {
				return r.fault(path, quoted(v), "pass, hold or fail")
			}
			return err
		},
		"text": func(path string) error { return ignored(r.text(path, &one.Text)) },
	})
	if err == nil && !said {
		err = r.fault(path, "neither", "value or verdict; where there is no data, the reading is null")
	}
	return one, err
}

func readValue(r *reader, path string, token json.Token, to **float64) error {
	n, ok := token.(json.Number)
	v, err := n.Float64()
	if !ok || err != nil || math.Abs(v) > MaxValue {
		return r.fault(path, show(token), "a number of ordinary size, null where there is no data")
	}
	*to = &v
	return nil
}
