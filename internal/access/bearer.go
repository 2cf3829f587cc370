package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"
)

// BearerOf returns the token that a request carries, "" when it carries none.
func BearerOf(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// Bearer says whether a request carries this very token; how long it takes tells nothing of it.
func Bearer(r *http.Request, token string) bool {
	got, want := sha256.Sum256([]byte(BearerOf(r))), sha256.Sum256([]byte(token))
	return token != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

func base64url(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
