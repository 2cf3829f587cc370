package app

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/ringfence/ringfence/internal/cli"
	"github.com/ringfence/ringfence/internal/errs"
)

// readyPage is the page that answers 200 once a plane is up.
func (c *UpConfig) readyPage(plane string) string {
	if plane == "server" {
		return "http://" + c.Listen + "/readyz"
	}
	return "http://" + c.Admin + "/healthz"
}

// firstStart waits until a plane that was started just now answers for the first time. One that ends before is an error:
// a damaged database or a missing certificate is not mended by trying again, and the person who typed the command is there.
func (c *UpConfig) firstStart(ctx context.Context, plane string, p *process) error {
	if p.child == nil { // it has run before
		return nil
	}
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	answers := make(chan error, 1)
	go func() { answers <- awaitOK(waiting, c.readyPage(plane)) }()
	select {
	case <-answers:
	case <-p.done:
		if ctx.Err() == nil {
			return c.whyNot(plane, p)
		}
	}
	return nil
}

// outlives says whether a plane that an earlier Up left is to be left again: when this one ends because it could not
// begin, and not because it was told to. Users that are served stay served.
func (c *UpConfig) outlives(ctx context.Context, p *process) bool {
	var failure *errs.Error
	return p.child == nil && errors.As(context.Cause(ctx), &failure)
}

var planeNames = map[string]string{"server": "control plane", "dataplane": "data plane", "up": "up"}

// kindOfExit is cli's table of exit statuses, read backwards.
var kindOfExit = map[int]errs.Kind{
	cli.ExitInvalid: errs.Invalid, cli.ExitDenied: errs.Denied, cli.ExitConflict: errs.Conflict,
	cli.ExitMissing: errs.Missing, cli.ExitUnavailable: errs.Unavailable,
}

// whyNot is the reason that a plane which has ended gave in its log.
func (c *UpConfig) whyNot(plane string, p *process) error {
	what := "the " + planeNames[plane] + " does not start"
	hint := "See " + c.logPath(plane)
	message, next := lastWords(c.logPath(plane), p.silent)
	switch {
	case message == "": // a panic, or somebody killed it
		return errs.E(errs.Internal, "%s: %s", what, p.child.ProcessState).Next("%s", hint)
	case next != "":
		hint = next
	}
	return errs.E(kindOfExit[p.child.ProcessState.ExitCode()], "%s: %s", what, message).Next("%s", hint)
}

// lastWords finds the error, and the hint if there is one, that a command wrote as the last to a log that was from
// bytes long before.
func lastWords(log string, from int64) (message, hint string) {
	f, err := os.Open(log)
	if err != nil {
		return "", ""
	}
	defer f.Close()
	const enough = 64 << 10
	if info, err := f.Stat(); err == nil {
		from = max(from, info.Size()-enough)
	}
	b, err := io.ReadAll(io.NewSectionReader(f, from, enough))
	if err != nil {
		return "", ""
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\n")
		if m, ok := strings.CutPrefix(line, "error: "); ok {
			message, hint = m, ""
		}
		if h, ok := strings.CutPrefix(line, "hint: "); ok {
			hint = h
		}
	}
	return message, hint
}
