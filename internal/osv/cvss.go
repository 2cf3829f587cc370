package osv

import (
	"math"
	"strings"
)

// weights of CVSS 3's base metrics.
var weights = map[string]map[string]float64{
	"AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
	"AC": {"L": 0.77, "H": 0.44},
	"PR": {"N": 0.85, "L": 0.62, "H": 0.27},
	"UI": {"N": 0.85, "R": 0.62},
	"S":  {"U": 0, "C": 1},
	"C":  {"H": 0.56, "L": 0.22, "N": 0},
	"I":  {"H": 0.56, "L": 0.22, "N": 0},
	"A":  {"H": 0.56, "L": 0.22, "N": 0},
}

// CVSS3 is the base score of a CVSS 3.0 or 3.1 vector; false when it is none.
func CVSS3(vector string) (float64, bool) {
	rest, ok := strings.CutPrefix(vector, "CVSS:3.1/")
	if !ok {
		if rest, ok = strings.CutPrefix(vector, "CVSS:3.0/"); !ok {
			return 0, false
		}
	}
	m := map[string]float64{}
	for metric := range strings.SplitSeq(rest, "/") {
		name, value, _ := strings.Cut(metric, ":")
		if w, known := weights[name]; known {
			v, valid := w[value]
			if _, twice := m[name]; twice || !valid {
				return 0, false
			}
			m[name] = v
		}
	}
	if len(m) != len(weights) {
		return 0, false
	}
	changed := m["S"] == 1
	if changed { // privileges count less where what is hurt is something else
		switch m["PR"] {
		case 0.62:
			m["PR"] = 0.68
		case 0.27:
			m["PR"] = 0.5
		}
	}
	iss := 1 - (1-m["C"])*(1-m["I"])*(1-m["A"])
	impact := 6.42 * iss
	if changed {
		impact = 7.52*(iss-0.029) - 3.25*math.Pow(iss-0.02, 15)
	}
	if impact <= 0 {
		return 0, true
	}
	score := impact + 8.22*m["AV"]*m["AC"]*m["PR"]*m["UI"]
	if changed {
		score *= 1.08
	}
	return roundUp(min(score, 10)), true
}

// roundUp is to one decimal, as the specification has it, safe from errors of floating point.
func roundUp(x float64) float64 {
	n := int(math.Round(x * 100000))
	if n%10000 == 0 {
		return float64(n) / 100000
	}
	return float64(n/10000+1) / 10
}
