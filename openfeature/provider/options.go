package provider

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

// Options of a Provider. Either URL or File is needed, or the variables FLAGD_HOST and FLAGD_SYNC_PORT, which Ringfence sets for
// the instances that it runs. What else is not set has the default that is named.
type Options struct {
	URL      string // of the flags' server
	Token    string // that it asks for, if it does
	Selector string // of flags: flagSetId=NAME or source=NAME; all when empty
	Cache    string // file in which the last flags are kept; none when empty

	File string // of flags, instead of a server: JSON or YAML, flagd's format or Ringfence's

	Environment string // whose state of a File's flags is meant, and whose the events are; production. A server's token says it for flags

	Events         string        // URL of the API that takes exposures and metric events; none are sent when empty
	EventsToken    string        // Token
	Attributes     []string      // of the context that go with an exposure, at most 16; none
	NoExposures    bool          // leaves exposures to hooks made by ExposureHook; Track works still
	EventsInterval time.Duration // for which events are collected before they are sent, 1 s
	MaxEvents      int           // that wait to be sent, 10,000

	Patience   time.Duration // of Init, 10 s; with flags in the Cache 2 s at most
	HTTPClient *http.Client  // without a time limit, which would cut streams; one of this package's own
	Log        *slog.Logger  // slog.Default()
}

const (
	maxAttributes = 16
	batchSize     = 500
)

func (o Options) complete() (Options, error) {
	var wrong []error
	if o.URL == "" && o.File == "" {
		o.URL = fromEnvironment()
	}
	if o.URL == "" && o.File == "" {
		wrong = append(wrong, errors.New("there is neither a URL nor a File, and FLAGD_HOST is not set"))
	}
	if o.URL != "" && o.File != "" {
		wrong = append(wrong, errors.New("there are a URL and a File, expected one of them"))
	}
	if len(o.Attributes) > maxAttributes {
		wrong = append(wrong, fmt.Errorf("there are %d Attributes, expected at most %d", len(o.Attributes), maxAttributes))
	}
	if o.EventsToken == "" {
		o.EventsToken = o.Token
	}
	for _, at := range []struct {
		name, token string
		url         *string
	}{{"URL", o.Token, &o.URL}, {"Events", o.EventsToken, &o.Events}} {
		if err := checkURL(*at.url, at.token); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", at.name, err))
		}
		*at.url = strings.TrimSuffix(*at.url, "/")
	}
	if o.EventsInterval <= 0 {
		o.EventsInterval = time.Second
	}
	if o.MaxEvents <= 0 {
		o.MaxEvents = 10_000
	}
	if o.Patience <= 0 {
		o.Patience = 10 * time.Second
	}
	if o.Environment == "" {
		o.Environment = "production"
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{Transport: transport()}
	}
	return o, errors.Join(wrong...)
}

// fromEnvironment is the address of the flags by the variables that flagd's own providers look at.
func fromEnvironment() string {
	host, port, scheme := os.Getenv("FLAGD_HOST"), os.Getenv("FLAGD_SYNC_PORT"), "http"
	if host == "" {
		return ""
	}
	if port == "" {
		port = "8015"
	}
	if os.Getenv("FLAGD_TLS") == "true" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// checkURL refuses what is no address, and to send a token where everyone on the way can read it.
func checkURL(text, token string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return errors.New("expected an address as https://flags.example.com")
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if token != "" && u.Scheme == "http" && u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("%.200q: a token is sent to other machines by https only", text)
	}
	return nil
}

// transport notices within half a minute that a server is gone which said nothing.
func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4}}
	t.DialContext = dialer.DialContext
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second}
	return t
}
