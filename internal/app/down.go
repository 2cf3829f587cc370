package app

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/cli"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/handover"
)

// announce prints the addresses once both planes answer.
func (c *UpConfig) announce(ctx context.Context, before *carried) error {
	began := time.Now()
	for _, plane := range []string{"server", "dataplane"} {
		if err := awaitOK(ctx, c.readyPage(plane)); err != nil {
			return nil
		}
	}
	before.settled()
	if before != nil {
		c.Logger.Info("took over", "from", before.Former.Version, "to", cli.Version())
		go c.tell(ctx, before.upgraded())
		return handover.Notify("READY=1")
	}
	gateway := "http://" + c.Gateway
	if c.TLS != (TLSFiles{}) {
		gateway = "https://" + c.Gateway
	}
	flags := ""
	if c.Flags != "" {
		flags = "  Flags       http://" + c.Flags + "\n"
	}
	fmt.Fprintf(c.Out, "Ringfence is up (%.2fs).\n  API and UI  http://%s\n  Gateway     %s\n%s  Data        %s\n  Admin token %s\n",
		time.Since(began).Seconds(), c.Listen, gateway, flags, c.Data, filepath.Join(c.Data, access.AdminFile))
	return handover.Notify("READY=1")
}

func awaitOK(ctx context.Context, url string) error {
	client := http.Client{Timeout: time.Second}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Down stops what runs in a data folder: the Up process with everything it keeps, or planes left over by one
// that was killed. It returns once they have ended.
func Down(data string) error {
	found := false
	for _, plane := range []string{"up", "dataplane", "server"} {
		p, err := holder(context.Background(), folder(data, plane), plane)
		if err != nil {
			return err
		}
		if p == nil {
			continue
		}
		found = true
		if err := p.stop(endingLimit(data, plane)); err != nil {
			return err
		}
	}
	if !found {
		return errs.E(errs.Missing, "nothing runs in %s", data)
	}
	return nil
}
