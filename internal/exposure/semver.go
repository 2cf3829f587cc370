package exposure

import (
	"cmp"
	"strings"
)

// version is a semantic version whose minor and patch may be left off; build metadata does not count.
type version struct{ major, minor, patch, pre string }

// parseVersion accepts a leading v, and 1 and 1.2 for 1.0.0 and 1.2.0, as flagd does.
func parseVersion(s string) (v version, ok bool) {
	if s != "" && (s[0] == 'v' || s[0] == 'V') {
		s = s[1:]
	}
	s, build, hasBuild := strings.Cut(s, "+")
	s, pre, hasPre := strings.Cut(s, "-")
	if hasBuild && !validIdentifiers(build, false) || hasPre && !validIdentifiers(pre, true) {
		return v, false
	}
	v.minor, v.patch, v.pre = "0", "0", pre
	major, rest, hasMinor := strings.Cut(s, ".")
	minor, patch, hasPatch := strings.Cut(rest, ".")
	v.major = major
	if hasMinor {
		v.minor = minor
	}
	if hasPatch {
		v.patch = patch
	}
	whole := hasPatch || !hasPre && !hasBuild // only a version with all three numbers has more
	return v, whole && isVersionNumber(v.major) && isVersionNumber(v.minor) && isVersionNumber(v.patch)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func isVersionNumber(s string) bool { return isDigits(s) && (s[0] != '0' || s == "0") }

// validIdentifiers checks what follows - or +, separated by dots.
func validIdentifiers(s string, pre bool) bool {
	for {
		part, rest, more := strings.Cut(s, ".")
		if part == "" || pre && isDigits(part) && !isVersionNumber(part) {
			return false
		}
		for i := range len(part) {
			c := part[i]
			if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' {
				return false
			}
		}
		if !more {
			return true
		}
		s = rest
	}
}

// compareDigits orders numbers of any length without leading zeros.
func compareDigits(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

func (v version) compare(w version) int {
	return cmp.Or(compareDigits(v.major, w.major), compareDigits(v.minor, w.minor),
		compareDigits(v.patch, w.patch), comparePre(v.pre, w.pre))
}

// comparePre orders pre-releases; none at all comes after every one.
func comparePre(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == "":
		return 1
	case b == "":
		return -1
	}
	for {
		x, restA, moreA := strings.Cut(a, ".")
		y, restB, moreB := strings.Cut(b, ".")
		if c := compareIdentifiers(x, y); c != 0 {
			return c
		}
		if !moreA || !moreB {
			return boolCompare(moreA, moreB)
		}
		a, b = restA, restB
	}
}

// compareIdentifiers orders numbers as such and before all else.
func compareIdentifiers(a, b string) int {
	numA, numB := isDigits(a), isDigits(b)
	switch {
	case numA && numB:
		return compareDigits(a, b)
	case numA != numB:
		return boolCompare(numB, numA)
	}
	return strings.Compare(a, b)
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// holds tells whether v stands in the relation op to w, and whether op is one.
func (v version) holds(op string, w version) (result, known bool) {
	switch op {
	case "=":
		return v.compare(w) == 0, true
	case "!=":
		return v.compare(w) != 0, true
	case "<":
		return v.compare(w) < 0, true
	case "<=":
		return v.compare(w) <= 0, true
	case ">":
		return v.compare(w) > 0, true
	case ">=":
		return v.compare(w) >= 0, true
	case "~":
		return v.major == w.major && v.minor == w.minor, true
	case "^":
		return v.major == w.major, true
	}
	return false, false
}

// toVersion reads a version from text, or from a number such as 1.2.
func (v Value) toVersion() (version, bool) {
	if v.kind != String && v.kind != Number {
		return version{}, false
	}
	s, _ := v.plainText()
	return parseVersion(s)
}

// buildSemVer compiles {"sem_ver": [version, operator, version]}.
func buildSemVer(args []node) node {
	right := func(s scope) (version, bool) { return args[2].eval(s).toVersion() }
	if args[2].fixed {
		w, ok := args[2].value.toVersion()
		right = func(scope) (version, bool) { return w, ok }
	}
	op := args[1].string()
	return maybe(func(s scope) (holds, known bool) {
		v, okV := args[0].get(s).toVersion()
		w, okW := right(s)
		relation, okOp := op(s)
		if !okV || !okW || !okOp {
			return false, false
		}
		return v.holds(relation, w)
	})
}
