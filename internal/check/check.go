package check

import (
	"context"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
)

// Request is one question. Kind says which of the others is set: health.SignalWebhook, SignalCommand or SignalProbe.
type Request struct {
	Kind      string
	Gate      string // its name, for those who are asked
	Webhook   *resource.WebhookGate
	Command   *resource.CommandGate
	Probe     *resource.ProbeGate
	Vars      map[string]string     // what is put in: service, version, stable, ring, rollout, unit
	Known     func() health.Reading // answers instead of anyone outside; nil: ask
	Instances []string              // host:port of the ready instances of the new version
}

// Vars are the placeholders that there are.
var Vars = []string{"service", "version", "stable", "ring", "rollout", "unit"}

// Options of a Runner.
type Options struct {
	Commands string // the folder of commands; empty: there are none
}

// Runner asks. It may be used concurrently.
type Runner struct {
	commands string
	outside  doer // webhooks and pages, through the environment's proxy
	inside   doer // instances
}

// New makes a Runner.
func New(o Options) *Runner {
	if abs, err := filepath.Abs(o.Commands); err == nil && o.Commands != "" {
		o.Commands = abs // commands are run in it
	}
	return &Runner{commands: o.Commands, outside: client(true), inside: client(false)}
}

// Run asks and returns what was said. It never panics over what it is given, and takes no longer than the request's own
// timeouts and tries allow.
func (r *Runner) Run(ctx context.Context, req Request) health.Reading {
	switch {
	case req.Known != nil:
		return req.Known()
	case req.Kind == health.SignalWebhook && req.Webhook != nil:
		return r.webhook(ctx, req)
	case req.Kind == health.SignalCommand && req.Command != nil:
		return r.command(ctx, req)
	case req.Kind == health.SignalProbe && req.Probe != nil:
		return r.probe(ctx, req)
	}
	return noData("there is nothing to ask")
}

func pass(text string) health.Reading { return health.Reading{Verdict: health.Pass, Text: text} }
func fail(text string) health.Reading { return health.Reading{Verdict: health.Fail, Text: text} }

// noData is what could not be found out, and why.
func noData(text string) health.Reading { return health.Reading{Verdict: health.Hold, Text: text} }

// put puts the variables into a text. What is put in is not looked at again.
func put(text string, vars map[string]string, escape func(string) string) string {
	var pairs []string
	for _, name := range Vars {
		pairs = append(pairs, "{"+name+"}", escape(vars[name]))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

func asIs(s string) string { return s }

// urlEscape leaves nothing that means anything in a URL, wherever in it the text is put.
func urlEscape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// clean is text from outside: at most so many bytes, without what steers a terminal or turns the direction of writing.
func clean(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case unicode.IsControl(r), r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x2028, r == 0x2029:
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	return strings.TrimSpace(strings.ToValidUTF8(text[:min(len(text), most)], ""))
}

// oneLine is clean on one line.
func oneLine(text string, most int) string {
	return clean(strings.Join(strings.Fields(text), " "), most)
}

// sleep waits, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
