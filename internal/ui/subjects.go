package ui

import (
	"net/url"
	"strings"

	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/rollout"
)

// labelOf is how pages call what a rollout is of: a service by its name, a flag by set and key, and its environment where that is
// not production.
func labelOf(service string) string {
	if !flag.IsSubject(service) {
		return service
	}
	s, err := flag.ParseSubject(service)
	if err != nil {
		return service
	}
	if s.Environment != flag.Production {
		return s.Set + "/" + s.Key + " in " + s.Environment
	}
	return s.Set + "/" + s.Key
}

// pageOf is the page of what a rollout is of.
func pageOf(service string) string {
	if flag.IsSubject(service) {
		if s, err := flag.ParseSubject(service); err == nil {
			return flagURL(s, "")
		}
	}
	return "/services/" + url.PathEscape(service)
}

// flagURL is a flag's page, or one below it.
func flagURL(s flag.Subject, below string) string {
	at := "/flags/" + url.PathEscape(s.Set) + "/" + url.PathEscape(s.Key)
	if below != "" {
		at += "/" + below
	}
	if s.Environment != "" && s.Environment != flag.Production {
		at += "?environment=" + url.QueryEscape(s.Environment)
	}
	return at
}

// shortID is a rollout's name where there is little room.
func shortID(id string) string {
	if rest, ok := strings.CutPrefix(id, "flag:"); ok {
		return strings.ReplaceAll(rest, ":", "/")
	}
	return id
}

// ofFlag says whether a rollout, of which the name is known, is the exposure of a flag.
func ofFlag(id string) bool { return flag.IsSubject(id) }

// codeDefault is the name of what everyone has who gets no variant.
const codeDefault = "code-default"

// thing is what a rollout is from or to, in a sentence: a version by its name, a variant as one.
func thing(service, name string) string {
	switch {
	case !ofFlag(service) || name == "":
		return name
	case name == codeDefault:
		return "the caller’s own default"
	}
	return "variant " + name
}

// toOf and fromOf are what a rollout brings, and what was there before.
func toOf(s rollout.State) string { return thing(s.Service, s.To) }

// toFirst begins a sentence with it.
func toFirst(s rollout.State) string {
	if ofFlag(s.Service) {
		return "Variant " + s.To
	}
	return s.To
}

func fromOf(s rollout.State) string {
	if s.From == "" {
		return "nothing"
	}
	return thing(s.Service, s.From)
}

// comparedText says who is compared with whom while a variant is in trial.
func comparedText(s rollout.State) string {
	if !ofFlag(s.Service) {
		return ""
	}
	if s.Control == 0 {
		return "Users with and without the variant are compared; of the ring in trial nobody goes without."
	}
	return "Users with and without the variant in the same ring are compared: " + percent(s.Control/100) + " of the ring in trial go without it until the ring has passed."
}
