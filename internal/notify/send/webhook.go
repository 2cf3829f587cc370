package send

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/resource"
)

// webhook sends the events one by one. There is one, but for a message that was begun for another channel.
func (s *Sender) webhook(ctx context.Context, to *resource.WebhookTo, m notify.Message, hidden *hidden) error {
	keys, err := s.keys(to.SecretFile, hidden)
	if err != nil {
		return err
	}
	for _, ev := range m.Events {
		body, err := cloudEvent(ev)
		if err != nil {
			return err
		}
		if err := s.post(ctx, to.URL, ev.ID, body, keys); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sender) post(ctx context.Context, address, id string, body []byte, keys [][]byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return &notify.Failure{Text: "the webhook's url: " + wordsOf(err)}
	}
	req.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	req.Header.Set("X-Ringfence-Delivery", id)
	req.Header.Set("X-Ringfence-Signature", signature(keys, s.Now(), body))
	x := &exchange{by: s}
	resp, err := x.client().Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	return x.outcome(hostOf(address), err)
}

// signature covers the time of this attempt, so that what was overheard cannot be sent again later by someone else.
func signature(keys [][]byte, now time.Time, body []byte) string {
	t := strconv.FormatInt(now.Unix(), 10)
	header := "t=" + t
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(t + "."))
		mac.Write(body)
		header += ",v1=" + hex.EncodeToString(mac.Sum(nil))
	}
	return header
}
