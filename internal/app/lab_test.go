package app

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Pages of the origins that may send metrics may send logs.
func TestPagesSendLogs(t *testing.T) {
	s := &server{ServerConfig: ServerConfig{Metrics: MetricsConfig{Origins: []string{"https://shop.example"}}}}
	h := s.intake()
	for origin, want := range map[string]string{"https://shop.example": "https://shop.example", "https://other.example": "", "": ""} {
		for _, method := range []string{http.MethodOptions, http.MethodPost} {
			r := httptest.NewRequest(method, "/v1/logs", strings.NewReader("{}"))
			r.Header.Set("Content-Type", "text/plain") // refused, and the page is to learn of it
			r.Header.Set("Origin", origin)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("%s from %q: allowed %q, expected %q", method, origin, got, want)
			}
			if asked := method == http.MethodOptions; asked != (w.Code == http.StatusNoContent) || w.Code == http.StatusOK {
				t.Errorf("%s from %q: %d", method, origin, w.Code)
			}
		}
	}
}
