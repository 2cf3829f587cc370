package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// sender takes batches to the server.
type sender struct {
	url, token, environment string
	client                  *http.Client
}

func newSender(o Options) *sender {
	return &sender{url: o.Events + "/v1/track", token: o.EventsToken, environment: o.Environment, client: o.HTTPClient}
}

const sendLimit = 10 * time.Second

// send sends a batch once. wrong means that the server will never take it; wait is what it asks for before the next attempt.
func (s *sender) send(ctx context.Context, b batch) (wait time.Duration, wrong bool, err error) {
	body, err := json.Marshal(map[string][]event{"events": b.events})
	if err != nil {
		return 0, true, err
	}
	ctx, cancel := context.WithTimeout(ctx, sendLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return 0, false, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", b.name)
	r.Header.Set("Ringfence-Environment", s.environment)
	if s.token != "" {
		r.Header.Set("Authorization", "Bearer "+s.token)
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return 0, false, err
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10)) // for people; what comes of it does not matter
	switch answer.StatusCode {
	case http.StatusOK:
		return 0, false, nil
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		wrong = true
	}
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 && seconds <= 600 {
		wait = time.Duration(seconds) * time.Second
	}
	return wait, wrong, fmt.Errorf("%s: %s", answer.Status, said)
}
