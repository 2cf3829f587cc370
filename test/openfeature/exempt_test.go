package openfeature

import (
	"path/filepath"
	"strings"

	"github.com/cucumber/godog"
)

// exemption is what does not apply, and why. What is empty holds for all.
type exemption struct {
	client   string // part of the name of those that it is for
	feature  string
	tag      string
	scenario string // part of its name
	why      string
}

var exemptions = []exemption{
	{feature: "config", why: "a provider's options: no server is asked"},
	{tag: "@fractional-v1", why: "buckets before flagd core 0.15, which contradict @fractional-v2"},
	{tag: "@deprecated", why: "answers before flagd 0.15, which contradict @no-default-variant"},

	{client: "flagd for Go, in-process", tag: "@fractional-v3", why: "the provider evaluates by flagd core, which has no v3 yet"},
	{client: "flagd for Go, file", tag: "@fractional-v3", why: "the provider evaluates by flagd core, which has no v3 yet"},
	{client: "flagd for JavaScript, in-process", tag: "@fractional-v3", why: "the provider evaluates by @openfeature/flagd-core, which has no v3 yet"},
	{client: "flagd for JavaScript, file", tag: "@fractional-v3", why: "the provider evaluates by @openfeature/flagd-core, which has no v3 yet"},

	{client: "flagd for Go, rpc", tag: "@grace", why: "the provider never says stale by rpc"},
	{client: "flagd for Go, rpc", scenario: "Stale and Error stage", why: "the provider never says stale by rpc"},
	{client: "flagd for Go, rpc", tag: "@forbidden", why: "the provider has fatal codes in-process only"},
	{client: "flagd for Go, rpc", tag: "@targetURI", why: "the provider has target URIs in-process only"},
	{client: "flagd for Go, in-process", tag: "@unixsocket", why: "the provider has sockets by rpc only"},
	{client: "flagd for Go, in-process", tag: "@contextEnrichment", why: "the provider does not look at sync_context"},
	{client: "flagd for Go, in-process", tag: "@sync-payload", scenario: "enriched context", why: "the provider does not look at sync_context"},
	{client: "flagd for JavaScript, rpc", scenario: "Stale and Error stage", why: "the provider asks its cache only while the connection is good"},

	{client: "flagd for Go, file", tag: "@reconnect", why: "the provider does not say ready when a file that was gone is there again"},
	{client: "flagd for Go, file", feature: "events", scenario: "events chain", why: "the provider does not say ready when a file that was gone is there again"},
	{client: "flagd for JavaScript, file", tag: "@reconnect", why: "the provider does not say that its file is gone"},
	{client: "flagd for JavaScript, file", feature: "events", scenario: "events chain", why: "the provider does not say that its file is gone"},

	{client: "OFREP for Go", tag: "@targetURI", why: "the provider takes an address alone"},
	{client: "OFREP for Go", tag: "@unixsocket", why: "the provider takes an address alone"},
	{client: "OFREP for Go", feature: "connection", tag: "@reconnect", why: "the provider holds no connection, and tells no events"},
	{client: "OFREP for Go", tag: "@unavailable", why: "the provider holds no connection, and tells no events"},
	{client: "OFREP for Go", tag: "@forbidden", why: "the provider holds no connection, and tells no events"},
	{client: "OFREP for Go", tag: "@events", why: "the provider holds no connection, and tells no events"},
	{client: "OFREP for Go", tag: "@grace", why: "the provider holds no connection, and tells no events"},
	{client: "OFREP for Go", tag: "@caching", why: "the provider keeps no answers, and tells no events"},
	{client: "OFREP for Go", tag: "@no-default-variant", why: "the provider takes an answer without a value for an error"},

	{client: "Ringfence for Go", tag: "@targetURI", why: "the provider has no target URIs"},
	{client: "Ringfence for Go", tag: "@forbidden", why: "the provider has no fatal codes: it goes on asking a server that refuses it"},
	{client: "Ringfence for Go", tag: "@reconnect", why: "the provider with flags says stale, never error: it goes on evaluating them"},
	{client: "Ringfence for Go", feature: "events", scenario: "-> error ->", why: "the provider with flags says stale, never error: it goes on evaluating them"},
}

// exempt is why a scenario does not apply to a client, empty when it does.
func exempt(client string, s *godog.Scenario) string {
	for _, e := range exemptions {
		if !strings.Contains(client, e.client) || e.feature != "" && filepath.Base(s.Uri) != e.feature+".feature" || !strings.Contains(s.Name, e.scenario) {
			continue
		}
		tagged := e.tag == ""
		for _, tag := range s.Tags {
			tagged = tagged || tag.Name == e.tag
		}
		if tagged {
			return e.why
		}
	}
	return ""
}
