package ui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

// probeWays are the kinds of probes; the first is what a new one does.
var probeWays = []string{"http", "steps", "tcp", "dns", "tls", "grpc"}

func wayOf(b *resource.Probe) string {
	if way := b.Way(); way != "" {
		return way
	}
	return probeWays[0]
}

// turn makes a probe of another kind. What only the kind before could do is dropped; one request becomes the first of several, and back.
func turn(b *resource.Probe, way string) error {
	if !slices.Contains(probeWays, way) {
		return errs.E(errs.Invalid, "got %.40q, expected one of %s", way, strings.Join(probeWays, ", "))
	}
	asked := b.Requests()
	b.HTTP, b.Steps, b.TCP, b.DNS, b.TLS, b.GRPC = nil, nil, nil, nil, nil, nil
	switch way {
	case "http":
		b.HTTP = &resource.ProbeRequest{}
		if len(asked) > 0 {
			*b.HTTP = asked[0]
		}
	case "steps":
		if b.Steps = asked; len(asked) == 0 {
			b.Steps = []resource.ProbeRequest{{}}
		}
	case "tcp":
		b.TCP = &resource.TCPProbe{}
	case "dns":
		b.DNS = &resource.DNSProbe{}
	case "tls":
		b.TLS = &resource.TLSProbe{}
	case "grpc":
		b.GRPC = &resource.GRPCProbe{}
	}
	return nil
}

// probeFields are the settings of every probe, and those of its kind. services are offered.
func probeFields(services []string) []planField[resource.Probe] {
	type probe = resource.Probe
	of := func(f planField[probe], path string, ways ...string) planField[probe] {
		f.Path, f.For = path, ways
		return f
	}
	service := choiceOf("service", "Service", append([]string{""}, services...), func(b *probe) *string { return &b.Service })
	service.get = func(b *probe) string { return b.Service }
	target := choiceOf("target", "Looks at", []string{resource.AtVersions, resource.AtGateway, resource.AtAddress}, func(b *probe) *string { return &b.Target })
	target.get = func(b *probe) string { return b.Defaults().Target }
	fields := []planField[probe]{
		service, target,
		textOf("address", "Address", "of target address: host:port or https://…", true, func(b *probe) *string { return &b.Address }),
		{Key: "way", Label: "Kind", Options: probeWays, get: wayOf, set: turn},
		spanOf("every", "Every", "30s", func(b *probe) *fleet.Dur { return &b.Every }),
		spanOf("timeout", "Timeout", "5s", func(b *probe) *fleet.Dur { return &b.Timeout }),
		listOf("from", "Probers", resource.ControlProber, func(b *probe) *[]string { return &b.From }),
		wholeOf("agree", "Must agree", func(b *probe) *int { return &b.Agree }),
		wholeOf("failures", "Bad rounds in a row", func(b *probe) *int { return &b.Failures }),
		of(choiceOf("severity", "When it is down", []string{"page", "ticket", "info", "none"}, func(b *probe) *string { return &need(&b.Alert).Severity }), "alert.severity"),
		of(spanOf("expiry", "Expiry told before", "504h", func(b *probe) *fleet.Dur { return &need(&b.Alert).Expiry }), "alert.expiry"),
		of(textOf("send", "Send", "", true, func(b *probe) *string { return &need(&b.TCP).Send }), "tcp.send", "tcp"),
		of(textOf("answer", "Expect", "text that comes back", true, func(b *probe) *string { return &need(&b.TCP).Contains }), "tcp.contains", "tcp"),
		of(textOf("name", "Name", "shop.example.com", true, func(b *probe) *string { return &need(&b.DNS).Name }), "dns.name", "dns"),
		of(choiceOf("type", "Type", []string{"A", "AAAA", "CNAME", "MX", "NS", "TXT", "SRV"}, func(b *probe) *string { return &need(&b.DNS).Type }), "dns.type", "dns"),
		of(textOf("resolver", "Name server", "the machine’s own", false, func(b *probe) *string { return &need(&b.DNS).Server }), "dns.server", "dns"),
		of(listOf("answers", "Expect", "any answer", func(b *probe) *[]string { return &need(&b.DNS).Expect }), "dns.expect", "dns"),
		of(choiceOf("minVersion", "Oldest version", []string{"1.2", "1.3"}, func(b *probe) *string { return &need(&b.TLS).MinVersion }), "tls.minVersion", "tls"),
		of(textOf("grpcService", "gRPC service", "the whole server", true, func(b *probe) *string { return &need(&b.GRPC).Service }), "grpc.service", "grpc"),
		of(checkOf("grpcTLS", "over TLS", func(b *probe) *bool { return &need(&b.GRPC).TLS }), "grpc.tls", "grpc"),
	}
	for i := range fields {
		if fields[i].Key == "way" {
			fields[i].Path = "way"
		}
	}
	return fields
}

// requestFields are the settings of one HTTP request.
var requestFields = func() []planField[resource.ProbeRequest] {
	type request = resource.ProbeRequest
	at := func(path string, f planField[request]) planField[request] { f.Path = path; return f }
	return []planField[request]{
		textOf("name", "Name", "as its method and path", false, func(r *request) *string { return &r.Name }),
		choiceOf("method", "Method", []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, func(r *request) *string { return &r.Method }),
		textOf("path", "Path", "/", true, func(r *request) *string { return &r.Path }),
		textOf("body", "Body", "", true, func(r *request) *string { return &r.Body }),
		{Key: "status", Label: "Status", Help: "200 to 399", Path: "expect.status", get: statusText, set: setStatus},
		{Key: "contains", Label: "Answer holds", Path: "expect.contains", get: func(r *request) string { return firstOf(r.Expect.Contains...) }, set: func(r *request, s string) error {
			rest := slices.Clone(r.Expect.Contains)
			if len(rest) > 0 {
				rest = rest[1:]
			}
			if s != "" {
				rest = append([]string{s}, rest...)
			}
			r.Expect.Contains = rest
			return nil
		}},
		at("expect.matches", textOf("matches", "Answer matches", "a regular expression", true, func(r *request) *string { return &r.Expect.Matches })),
		at("expect.within", spanOf("within", "Within", "800ms", func(r *request) *fleet.Dur { return &r.Expect.Within })),
	}
}()

func statusText(r *resource.ProbeRequest) string {
	var all []string
	for _, n := range r.Expect.Status {
		all = append(all, strconv.Itoa(n))
	}
	return strings.Join(all, ", ")
}

func setStatus(r *resource.ProbeRequest, s string) error {
	var all []int
	for _, w := range words(s) {
		n, err := strconv.Atoi(w)
		if err != nil {
			return errs.E(errs.Invalid, "got %.40q, expected numbers such as 200, 204", w)
		}
		all = append(all, n)
	}
	r.Expect.Status = all
	return nil
}

// placeProbe gives problems to the fields that they are about, and returns the others as sentences.
func placeProbe(problems []resource.Problem, fields []planField[resource.Probe], told map[string]string) []string {
	var rest []string
	for _, p := range problems {
		id, text := "", p
		text.Path = ""
		var i int
		tail := strings.TrimPrefix(p.Path, "spec.")
		if n, _ := fmt.Sscanf(tail, "steps[%d]", &i); n == 1 {
			id = idOf(requestFields, requestAt(i), strings.TrimPrefix(tail[strings.IndexByte(tail, ']')+1:], "."))
		} else if under, ok := strings.CutPrefix(tail, "http."); ok {
			id = idOf(requestFields, requestAt(0), under)
		} else if tail != p.Path {
			id = idOf(fields, "", tail)
		}
		switch {
		case id == "" || told[id] != "":
			rest = append(rest, sentenceCase(p.Text()))
		default:
			told[id] = text.Text()
		}
	}
	return rest
}

func requestAt(i int) string { return "request-" + strconv.Itoa(i) + "-" }
