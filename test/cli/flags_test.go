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
// what it says:
//
//	asked [-from url] user flag
func asked(ts *testscript.TestScript, neg bool, args []string) {
	from := "http://" + ts.Getenv("FLAGS")
	if len(args) > 2 && args[0] == "-from" {
		from, args = args[1], args[2:]
	}
	if neg || len(args) != 2 {
		ts.Fatalf("usage: asked [-from url] user flag")
	}
	var said string
	err := sandbox.Await(func() (err error) {
		said, err = evaluate(from, args[0], args[1])
		return err
	})
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), said)
}

func evaluate(from, user, key string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), sandbox.Limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, from+"/ofrep/v1/evaluate/flags/"+key,
		strings.NewReader(fmt.Sprintf(`{"context":{"targetingKey":%q}}`, user)))
	if err != nil {
		return "", err
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
