package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// Error types of RFC 9209; they are also the reasons that failures are counted by.
const (
	notFound         = "destination_not_found"
	unavailable      = "destination_unavailable"
	refused          = "connection_refused"
	connectTimeout   = "connection_timeout"
	terminated       = "connection_terminated"
	responseTimeout  = "http_response_timeout"
	incomplete       = "http_response_incomplete"
	protocolError    = "http_protocol_error"
	upgradeFailed    = "http_upgrade_failed"
	requestError     = "http_request_error"
	requestDenied    = "http_request_denied"
	headerTooLarge   = "http_response_header_section_size"
	limitReached     = "connection_limit_reached"
	clientDisconnect = "" // nobody is there to be told
)

var statusOf = map[string]int{
	notFound: 404, unavailable: 503, limitReached: 503, connectTimeout: 504, responseTimeout: 504,
}

// statusFor is the status code that a failure is answered with.
func statusFor(reason string) int {
	if s := statusOf[reason]; s != 0 {
		return s
	}
	return http.StatusBadGateway
}

// problem answers for the gateway itself.
func problem(w http.ResponseWriter, status int, errorType, detail string) {
	h := w.Header()
	h.Set("Proxy-Status", "ringfence; error="+errorType)
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable && h["Retry-After"] == nil {
		h.Set("Retry-After", "1")
	}
	b := problemBody(status, detail)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	w.Write(b)
}

// problemBody is a problem of RFC 9457.
func problemBody(status int, detail string) []byte {
	b, _ := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{"about:blank", http.StatusText(status), status, detail})
	return b
}
