package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
)

var foreign = map[string]struct {
	line  func(audit.Event, audit.Product) ([]byte, error)
	media string
}{
	"ocsf": {audit.OCSF, "application/x-ndjson"},
	"cef":  {audit.CEF, "text/plain; charset=utf-8"},
}

const (
	foreignPage = 1000
	hookTimeout = 30 * time.Second
)

// foreignExport writes events in another's format, a page at a time.
func foreignExport(cmd *cobra.Command, c *client.Client, format, to, from string) error {
	f, ok := foreign[format]
	if !ok {
		return errs.E(errs.Invalid, "--format %q: expected ringfence, ocsf or cef", format)
	}
	since, err := instant("--since", from, time.Now())
	if err != nil {
		return err
	}
	product := audit.Product{Vendor: "Ringfence", Name: "Ringfence", Version: Version()}
	each := func(send func([]byte) error) error {
		return pages(cmd.Context(), c, since, func(events []audit.Event) error {
			var b bytes.Buffer
			for _, e := range events {
				line, err := f.line(e, product)
				if err != nil {
					return err
				}
				b.Write(line)
			}
			return send(b.Bytes())
		})
	}
	if u, err := url.Parse(to); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		return each(func(b []byte) error { return postEvents(cmd.Context(), to, f.media, b) })
	}
	if to == "-" {
		return each(func(b []byte) error { _, err := cmd.OutOrStdout().Write(b); return err })
	}
	return writeFile(to, func(w io.Writer) error {
		return each(func(b []byte) error { _, err := w.Write(b); return err })
	})
}

func pages(ctx context.Context, c *client.Client, since time.Time, do func([]audit.Event) error) error {
	for after := int64(0); ; {
		page, err := c.Events(ctx, wire.EventQuery{After: after, Limit: foreignPage, Since: since})
		if err != nil || len(page.Items) == 0 {
			return err
		}
		if err := do(page.Items); err != nil {
			return err
		}
		if page.Next == 0 {
			return nil
		}
		after = page.Next
	}
}

func postEvents(ctx context.Context, to, media string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "-o")
	}
	req.Header.Set("Content-Type", media)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "-o")
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return errs.Wrap(errs.Unavailable, fmt.Errorf("it answered %d", resp.StatusCode), "-o %s", to)
	}
	return nil
}
