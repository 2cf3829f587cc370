package osv

import (
	"cmp"
	"regexp"
	"strings"
)

var semverRE = regexp.MustCompile(`^[vV]?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$`)

// compareSemver orders semantic versions; parts that are left out are 0.
func compareSemver(a, b string) (int, bool) {
	x, y := semverRE.FindStringSubmatch(a), semverRE.FindStringSubmatch(b)
	if x == nil || y == nil {
		return 0, false
	}
	for i := 1; i <= 3; i++ {
		if c := compareNumbers(x[i], y[i]); c != 0 {
			return c, true
		}
	}
	switch {
	case x[4] == y[4]:
		return 0, true
	case x[4] == "":
		return 1, true
	case y[4] == "":
		return -1, true
	}
	p, q := strings.Split(x[4], "."), strings.Split(y[4], ".")
	for i := range min(len(p), len(q)) {
		if c := compareIdentifier(p[i], q[i]); c != 0 {
			return c, true
		}
	}
	return cmp.Compare(len(p), len(q)), true
}

func compareIdentifier(a, b string) int {
	an, bn := numeric(a), numeric(b)
	switch {
	case an && bn:
		return compareNumbers(a, b)
	case an:
		return -1
	case bn:
		return 1
	}
	return strings.Compare(a, b)
}

func numeric(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// compareNumbers orders numbers of any length; an empty one is 0.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

var pepRE = regexp.MustCompile(`^v?(?:(\d+)!)?(\d+(?:\.\d+)*)(?:[-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?(\d*))?(?:(?:-(\d+))|(?:[-_.]?(post|rev|r)[-_.]?(\d*)))?(?:[-_.]?(dev)[-_.]?(\d*))?(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?$`)

var pepPhase = map[string]string{"a": "1", "alpha": "1", "b": "2", "beta": "2", "c": "3", "rc": "3", "pre": "3", "preview": "3"}

// comparePEP440 orders versions of Python packages.
func comparePEP440(a, b string) (int, bool) {
	x, y := pepRE.FindStringSubmatch(strings.ToLower(strings.TrimSpace(a))), pepRE.FindStringSubmatch(strings.ToLower(strings.TrimSpace(b)))
	if x == nil || y == nil {
		return 0, false
	}
	if c := compareNumbers(x[1], y[1]); c != 0 {
		return c, true
	}
	p, q := strings.Split(x[2], "."), strings.Split(y[2], ".")
	for i := range max(len(p), len(q)) {
		if c := compareNumbers(part(p, i), part(q, i)); c != 0 {
			return c, true
		}
	}
	kx, ky := pepKey(x), pepKey(y)
	for i := range kx {
		if c := compareNumbers(kx[i], ky[i]); c != 0 {
			return c, true
		}
	}
	return strings.Compare(x[10], y[10]), true
}

func part(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

// pepKey is what stands after the numbers, as numbers in order of weight: phase and its number, post, dev.
func pepKey(m []string) [4]string {
	phase, post, dev := "4", "0", "9"+strings.Repeat("9", 40) // without dev it is later than with any
	if m[3] != "" {
		phase = pepPhase[m[3]]
	}
	if m[5] != "" || m[6] != "" {
		post = "1" + pad(m[5]+m[7])
	}
	if m[8] != "" {
		dev = m[9]
		if m[3] == "" && post == "0" {
			phase = "0" // 1.0.dev1 is before 1.0a1
		}
	}
	return [4]string{phase, m[4], post, dev}
}

// pad keeps numbers of posts in order behind a leading 1.
func pad(n string) string {
	n = strings.TrimLeft(n, "0")
	return strings.Repeat("0", max(0, 40-len(n))) + n
}

// compareDebian orders versions as dpkg does.
func compareDebian(a, b string) (int, bool) {
	if a == "" || b == "" {
		return 0, false
	}
	ea, ua, ra := debianParts(a)
	eb, ub, rb := debianParts(b)
	if !numeric("0"+ea) || !numeric("0"+eb) {
		return 0, false
	}
	if c := compareNumbers(ea, eb); c != 0 {
		return c, true
	}
	if c := compareDebianPart(ua, ub); c != 0 {
		return c, true
	}
	return compareDebianPart(ra, rb), true
}

func debianParts(v string) (epoch, upstream, revision string) {
	if e, rest, ok := strings.Cut(v, ":"); ok {
		epoch, v = e, rest
	}
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return epoch, v[:i], v[i+1:]
	}
	return epoch, v, ""
}

func compareDebianPart(a, b string) int {
	for a != "" || b != "" {
		i, j := strings.IndexFunc(a, isDigit), strings.IndexFunc(b, isDigit)
		if i < 0 {
			i = len(a)
		}
		if j < 0 {
			j = len(b)
		}
		for k := range max(i, j) {
			if c := cmp.Compare(debianWeight(a[:i], k), debianWeight(b[:j], k)); c != 0 {
				return c
			}
		}
		a, b = a[i:], b[j:]
		i, j = digits(a), digits(b)
		if c := compareNumbers(a[:i], b[:j]); c != 0 {
			return c
		}
		a, b = a[i:], b[j:]
	}
	return 0
}

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

func digits(s string) int {
	n := 0
	for n < len(s) && isDigit(rune(s[n])) {
		n++
	}
	return n
}

// debianWeight puts ~ before the end, and letters before all else.
func debianWeight(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '~':
		return -1
	case s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z':
		return int(s[i])
	}
	return int(s[i]) + 256
}
