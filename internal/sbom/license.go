package sbom

import (
	"strings"
)

// Suffices reports whether a licence expression can be met with licences for which may answers true: one side of OR will do, both of
// AND are needed, and an exception (WITH) does not change which licence it is. What is no expression counts as the name of one licence.
func Suffices(expression string, may func(license string) bool) bool {
	p := licenseParser{words: licenseWords(expression), may: may}
	ok, fine := p.or(0)
	if !fine || p.at != len(p.words) {
		return may(strings.TrimSpace(expression))
	}
	return ok
}

func licenseWords(s string) []string {
	return strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s))
}

type licenseParser struct {
	words []string
	at    int
	may   func(string) bool
}

func (p *licenseParser) next() string {
	if p.at < len(p.words) {
		return p.words[p.at]
	}
	return ""
}

func (p *licenseParser) or(depth int) (ok, fine bool) {
	return p.joined(depth, "OR", p.and, func(a, b bool) bool { return a || b })
}

func (p *licenseParser) and(depth int) (ok, fine bool) {
	return p.joined(depth, "AND", p.one, func(a, b bool) bool { return a && b })
}

func (p *licenseParser) joined(depth int, word string, part func(int) (bool, bool), join func(a, b bool) bool) (ok, fine bool) {
	ok, fine = part(depth)
	for fine && strings.EqualFold(p.next(), word) {
		p.at++
		var other bool
		other, fine = part(depth)
		ok = join(ok, other)
	}
	return ok, fine
}

func (p *licenseParser) one(depth int) (ok, fine bool) {
	word := p.next()
	p.at++
	switch {
	case depth > maxDepth || word == "" || word == ")" || reserved(word):
		return false, false
	case word == "(":
		ok, fine = p.or(depth + 1)
		fine = fine && p.next() == ")"
		p.at++
		return ok, fine
	}
	if strings.EqualFold(p.next(), "WITH") {
		p.at++
		if exception := p.next(); exception == "" || exception == "(" || exception == ")" || reserved(exception) {
			return false, false
		}
		p.at++
	}
	return p.may(strings.TrimSuffix(word, "+")), true
}

func reserved(word string) bool {
	return strings.EqualFold(word, "AND") || strings.EqualFold(word, "OR") || strings.EqualFold(word, "WITH")
}
