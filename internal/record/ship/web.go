package ship

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
)

const patience = 20 * time.Second

var client = &http.Client{
	Timeout:       patience,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // it goes where it was sent, or nowhere
}

func post(ctx context.Context, url string, body []byte) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, audit.MaxCheckpoint))
	return resp.StatusCode, answer, err
}

// Webhook posts each checkpoint to a URL. What was shipped cannot be read back.
type Webhook struct{ URL string }

// Name implements record.Ship.
func (w Webhook) Name() string { return w.URL }

// Ship posts a checkpoint, the signed text as it is.
func (w Webhook) Ship(ctx context.Context, _ audit.Checkpoint, signed []byte) error {
	status, _, err := post(ctx, w.URL, signed)
	if err == nil && (status < 200 || status > 299) {
		err = fmt.Errorf("it answered %d", status)
	}
	return err
}

// Shipped implements record.Ship.
func (Webhook) Shipped(context.Context) ([][]byte, error) { return nil, nil }

// Witness asks a witness at a URL for its cosignature.
type Witness struct {
	URL string
	Key audit.Witness
}

// Name implements record.Witness.
func (w Witness) Name() string { return w.Key.Name }

// Add sends a checkpoint with the proof that it continues the one of old events. Seen is what the witness has seen when that is
// another size, and -1 when it does not say.
func (w Witness) Add(ctx context.Context, old int64, proof []audit.Hash, c audit.Checkpoint, signed []byte) (line string, seen int64, err error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", old)
	for _, h := range proof {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	b.WriteString("\n")
	b.Write(signed)
	status, answer, err := post(ctx, strings.TrimSuffix(w.URL, "/")+"/add-checkpoint", b.Bytes())
	if err != nil {
		return "", -1, err
	}
	switch status {
	case http.StatusOK:
		line, _, err = w.Key.Cosigned(c, strings.SplitAfter(string(answer), "\n"))
		return line, -1, err
	case http.StatusConflict:
		if n, err := strconv.ParseInt(strings.TrimSpace(string(answer)), 10, 64); err == nil && n >= 0 {
			return "", n, fmt.Errorf("it has seen %d events, not %d", n, old)
		}
	}
	return "", -1, fmt.Errorf("it answered %d: %.200q", status, answer)
}
