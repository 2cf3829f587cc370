package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ringfence/ringfence/test/sandbox"
)

// asked asks the data plane for a flag as a user, by OpenFeature's remote evaluation protocol, until it answers, and prints
// what it says. With ! it is asked until it refuses:
//
//	asked [-from url] [-key file] user flag
func asked(ts *testscript.TestScript, neg bool, args []string) {
	from, key := "http://"+ts.Getenv("FLAGS"), ""
	for len(args) > 2 {
		switch args[0] {
		case "-from":
			from = args[1]
		case "-key":
			key = strings.TrimSpace(ts.ReadFile(args[1]))
		default:
			ts.Fatalf("usage: asked [-from url] [-key file] user flag")
		}
		args = args[2:]
	}
	if len(args) != 2 {
		ts.Fatalf("usage: asked [-from url] [-key file] user flag")
	}
	var said string
	err := sandbox.Await(func() (err error) {
		if said, err = evaluate(from, key, args[0], args[1]); neg && err != nil && said != "" {
			return nil
		} else if neg {
			return fmt.Errorf("it answers: %s %v", said, err)
		}
		return err
	})
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), said)
}

func evaluate(from, key, user, flag string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), sandbox.Limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, from+"/ofrep/v1/evaluate/flags/"+flag,
		strings.NewReader(fmt.Sprintf(`{"context":{"targetingKey":%q}}`, user)))
	if err != nil {
		return "", err
	}
	if key != "" {
		req.Header.Set("X-API-Key", key)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return string(body), err
}
