package app

import (
	"net"
	"testing"

	"github.com/ringfence/ringfence/internal/errs"
)

func TestLinksBeginWithWhatPeopleReach(t *testing.T) {
	for _, tt := range []struct {
		said, address, ip, want string
	}{
		{"", "http://127.0.0.1:7400", "127.0.0.1", "http://127.0.0.1:7400"},
		{"", "https://[::]:7400", "::", ""},
		{"", "https://0.0.0.0:7400", "0.0.0.0", ""},
		{"https://ringfence.example.com", "https://[::]:7400", "::", "https://ringfence.example.com"},
	} {
		if got := linkTo(tt.said, tt.address, &net.TCPAddr{IP: net.ParseIP(tt.ip)}); got != tt.want {
			t.Errorf("%+v: got %q", tt, got)
		}
	}
}

func TestURLsThatLinksCannotBeginWith(t *testing.T) {
	for address, good := range map[string]bool{
		"": true, "https://ringfence.example.com": true, "http://10.0.0.1:7400/below/": true,
		"ringfence.example.com": false, "ftp://x": false, "https://": false, "https://ann:secret@x": false, "https://x/?a=1": false, "https://x/#a": false, "://": false,
	} {
		if err := checkURL(address); (err == nil) != good || err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", address, err)
		}
	}
}
