package resource

import (
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// Where a probe looks.
const (
	AtVersions = "versions"
	AtGateway  = "gateway"
	AtAddress  = "address"
)

// ControlProber is the name of the prober that the control plane has itself.
const ControlProber = "control"

// Probe asks what users would ask, again and again, whether there are users or not.
type Probe struct {
	Service  string            `json:"service,omitempty" maxLength:"63" doc:"the service that it is for; alerts name its owner"`
	Target   string            `json:"target,omitempty" enum:"versions,gateway,address" doc:"versions: every instance of every version that runs (default with a service); gateway: the service as users reach it; address: any address"`
	Address  string            `json:"address,omitempty" maxLength:"2000" doc:"for target address: host:port, or for http and steps the beginning of a URL such as https://shop.example.com"`
	Every    fleet.Dur         `json:"every,omitempty" doc:"time between rounds; default 30s, at least 1s"`
	Timeout  fleet.Dur         `json:"timeout,omitempty" doc:"for one request or connection; default 5s, or every when that is shorter"`
	From     []string          `json:"from,omitempty" maxItems:"50" doc:"names of probers; control is the control plane's own; default control"`
	Agree    int               `json:"agree,omitempty" minimum:"1" maximum:"50" doc:"how many probers have to see it fail before it is down; default more than half of from"`
	Failures int               `json:"failures,omitempty" minimum:"1" maximum:"100" doc:"failed rounds in a row after which a prober says that it fails; default 2"`
	HTTP     *ProbeRequest     `json:"http,omitempty" doc:"one HTTP request"`
	Steps    []ProbeRequest    `json:"steps,omitempty" maxItems:"20" doc:"several HTTP requests one after the other, with the cookies and variables that earlier ones gave"`
	TCP      *TCPProbe         `json:"tcp,omitempty" doc:"a TCP connection"`
	DNS      *DNSProbe         `json:"dns,omitempty" doc:"a question to a name server"`
	TLS      *TLSProbe         `json:"tls,omitempty" doc:"a TLS handshake: the chain, and when it expires"`
	GRPC     *GRPCProbe        `json:"grpc,omitempty" doc:"gRPC's health check"`
	Secrets  map[string]string `json:"secrets,omitempty" maxProperties:"20" doc:"variables whose values stand in files of the prober's folder of secrets, by name"`
	Trust    *ProbeTrust       `json:"trust,omitempty" doc:"which certificates are taken; default those that the machine trusts"`
	Alert    *ProbeAlert       `json:"alert,omitempty" doc:"what is told to whom; default a page when it is down"`
	Quiet    *ProbeQuiet       `json:"quiet,omitempty" doc:"when nobody is told; it goes on, and what it sees is kept"`
}

// ProbeRequest is one HTTP request and what its answer must be. {name} puts a variable in: a secret, what an earlier step
// extracted, or service and version.
type ProbeRequest struct {
	Name      string            `json:"name,omitempty" maxLength:"100" doc:"for people; default method and path"`
	Method    string            `json:"method,omitempty" enum:"GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS" doc:"default GET"`
	Path      string            `json:"path,omitempty" maxLength:"2000" doc:"path and query; default /"`
	Headers   map[string]string `json:"headers,omitempty" maxProperties:"50" doc:"headers of the request"`
	Body      string            `json:"body,omitempty" maxLength:"65536" doc:"body of the request"`
	Redirects int               `json:"redirects,omitempty" minimum:"0" maximum:"10" doc:"how many redirects are followed; default none"`
	Expect    ProbeExpect       `json:"expect,omitzero" doc:"what the answer must be"`
	Extract   []ProbeExtract    `json:"extract,omitempty" maxItems:"20" doc:"variables for later steps"`
}

// ProbeExpect is what must be so of an answer; all of it.
type ProbeExpect struct {
	Status   []int             `json:"status,omitempty" maxItems:"20" doc:"one of these; default 200 to 399"`
	Headers  map[string]string `json:"headers,omitempty" maxProperties:"50" doc:"headers that match these regular expressions"`
	Contains []string          `json:"contains,omitempty" maxItems:"20" doc:"texts that the body holds"`
	Absent   []string          `json:"absent,omitempty" maxItems:"20" doc:"texts that the body does not hold"`
	Matches  string            `json:"matches,omitempty" maxLength:"1000" doc:"regular expression that the body matches"`
	JSON     []ProbeJSON       `json:"json,omitempty" maxItems:"20" doc:"values in a JSON body"`
	Within   fleet.Dur         `json:"within,omitempty" doc:"the answer is complete within this time"`
}

// ProbeJSON is what must be so of one value in a JSON body.
type ProbeJSON struct {
	Path    string   `json:"path" maxLength:"500" doc:"names and positions such as items[0].price"`
	Equals  string   `json:"equals,omitempty" maxLength:"1000" doc:"its text, number or truth; default that it is there"`
	Matches string   `json:"matches,omitempty" maxLength:"1000" doc:"a regular expression that it matches"`
	Min     *float64 `json:"min,omitempty" doc:"smallest number"`
	Max     *float64 `json:"max,omitempty" doc:"largest number"`
}

// ProbeExtract is a variable taken from an answer; exactly one source.
type ProbeExtract struct {
	Name    string `json:"name" maxLength:"50" doc:"name of the variable"`
	JSON    string `json:"json,omitempty" maxLength:"500" doc:"path in the JSON body"`
	Header  string `json:"header,omitempty" maxLength:"200" doc:"a header"`
	Cookie  string `json:"cookie,omitempty" maxLength:"200" doc:"a cookie that was set"`
	Matches string `json:"matches,omitempty" maxLength:"1000" doc:"regular expression on the body: its first group, or all of it"`
}

// TCPProbe is a connection, and what is said over it.
type TCPProbe struct {
	Send     string `json:"send,omitempty" maxLength:"10000" doc:"text that is sent"`
	Contains string `json:"contains,omitempty" maxLength:"1000" doc:"text that comes back"`
}

// DNSProbe is a question to a name server.
type DNSProbe struct {
	Name   string   `json:"name" maxLength:"253" doc:"the name that is asked for"`
	Type   string   `json:"type,omitempty" enum:"A,AAAA,CNAME,MX,NS,TXT,SRV" doc:"default A"`
	Server string   `json:"server,omitempty" maxLength:"300" doc:"host:port of a name server; default the machine's own"`
	Expect []string `json:"expect,omitempty" maxItems:"20" doc:"answers that must be there; default any"`
}

// TLSProbe is a handshake. When the certificate expires is told by every probe that sees one.
type TLSProbe struct {
	MinVersion string `json:"minVersion,omitempty" enum:"1.2,1.3" doc:"oldest version of TLS that is taken; default 1.2"`
}

// GRPCProbe asks grpc.health.v1.Health.
type GRPCProbe struct {
	Service string `json:"service,omitempty" maxLength:"200" doc:"the gRPC service; default the whole server"`
	TLS     bool   `json:"tls,omitempty" doc:"over TLS; default in the clear"`
}

// ProbeTrust says which certificates are taken.
type ProbeTrust struct {
	CAFile     string `json:"caFile,omitempty" doc:"file in the prober's folder of secrets with the authorities in PEM"`
	ServerName string `json:"serverName,omitempty" maxLength:"253" doc:"the name that the certificate must be for; default the address's host"`
	Any        bool   `json:"any,omitempty" doc:"any certificate; its expiry is still watched"`
}

// ProbeAlert says what is told.
type ProbeAlert struct {
	Severity string    `json:"severity,omitempty" enum:"page,ticket,info,none" doc:"of it being down; default page"`
	Expiry   fleet.Dur `json:"expiry,omitempty" doc:"how long before a certificate expires a ticket is opened; default 504h, three weeks"`
	Urgent   fleet.Dur `json:"urgent,omitempty" doc:"how long before that it is told with the severity of it being down; default 72h"`
}

// ProbeQuiet says when nobody is told.
type ProbeQuiet struct {
	When    []Window `json:"when,omitempty" maxItems:"50" doc:"maintenance, which may come again"`
	Freezes bool     `json:"freezes,omitempty" doc:"while a Freeze holds for the service"`
}

// Defaults returns b with every default filled in.
func (b Probe) Defaults() Probe {
	switch {
	case b.Target != "":
	case b.Service != "" && b.Address == "" && b.DNS == nil:
		b.Target = AtVersions
	default:
		b.Target = AtAddress
	}
	or(&b.Every, fleet.Dur(30*time.Second))
	or(&b.Timeout, min(fleet.Dur(5*time.Second), b.Every))
	if len(b.From) == 0 {
		b.From = []string{ControlProber}
	}
	or(&b.Agree, len(b.From)/2+1)
	or(&b.Failures, 2)
	alert := ProbeAlert{}
	if b.Alert != nil {
		alert = *b.Alert
	}
	or(&alert.Severity, "page")
	or(&alert.Expiry, fleet.Dur(21*24*time.Hour))
	or(&alert.Urgent, fleet.Dur(72*time.Hour))
	b.Alert = &alert
	return b
}

// Requests are the HTTP requests of a probe, none for another kind.
func (b Probe) Requests() []ProbeRequest {
	if b.HTTP != nil {
		return []ProbeRequest{*b.HTTP}
	}
	return b.Steps
}

// Way names what the probe does: http, steps, tcp, dns, tls or grpc.
func (b Probe) Way() string {
	if ways := b.ways(); len(ways) == 1 {
		return ways[0]
	}
	return ""
}

func (b Probe) ways() []string {
	var set []string
	for _, w := range []struct {
		name string
		set  bool
	}{{"http", b.HTTP != nil}, {"steps", len(b.Steps) > 0}, {"tcp", b.TCP != nil}, {"dns", b.DNS != nil}, {"tls", b.TLS != nil}, {"grpc", b.GRPC != nil}} {
		if w.set {
			set = append(set, w.name)
		}
	}
	return set
}

// Label names a request for people.
func (r ProbeRequest) Label() string {
	if r.Name != "" {
		return r.Name
	}
	method, path := r.Method, r.Path
	or(&method, "GET")
	or(&path, "/")
	path, _, _ = strings.Cut(path, "?")
	return method + " " + path
}
