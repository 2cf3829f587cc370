package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ringfence/ringfence/test/sandbox"
)

// comers are users of a program that asks for a flag and tells what they had and did.
type comers struct {
	prefix, flag, experiment string
	given                    string                        // the variant that is told of, when not the one they had
	rates                    map[string]map[string]float64 // of an event, by variant
	client                   *http.Client
}

// come makes N users come: each asks the data plane for a flag, and is told of to the control plane, with as many doing a
// thing as the rate of their variant says. With -in, nobody comes before the experiment is in force; with -told, another variant
// than the one they had is told of.
//
//	come [-in experiment] [-told variant] N prefix flag [event:variant=rate]…
//
// What they did is timed some seconds ahead: what is told before an experiment is in force everywhere does not count.
func come(ts *testscript.TestScript, neg bool, args []string) {
	c := comers{rates: map[string]map[string]float64{}, client: &http.Client{Timeout: sandbox.Limit}}
	defer c.client.CloseIdleConnections()
	for len(args) > 2 && args[0][0] == '-' {
		switch args[0] {
		case "-in":
			c.experiment = args[1]
		case "-told":
			c.given = args[1]
		}
		args = args[2:]
	}
	if neg || len(args) < 3 {
		ts.Fatalf("usage: come [-in experiment] [-told variant] N prefix flag [event:variant=rate]…")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	c.prefix, c.flag = args[1], args[2]
	for _, arg := range args[3:] {
		event, rest, _ := strings.Cut(arg, ":")
		variant, rate, _ := strings.Cut(rest, "=")
		if c.rates[event] == nil {
			c.rates[event] = map[string]float64{}
		}
		c.rates[event][variant], err = strconv.ParseFloat(rate, 64)
		ts.Check(err)
	}
	token := strings.TrimSpace(ts.ReadFile(filepath.Join(ts.Getenv("RINGFENCE_DATA"), "admin.token")))
	ts.Check(sandbox.Await(func() error {
		_, in, err := c.ask(ts.Getenv("FLAGS"), "first")
		if err == nil && c.experiment != "" && in != c.experiment {
			err = fmt.Errorf("the flag is part of experiment %q", in)
		}
		return err
	}))
	ts.Check(c.all(ts.Getenv("FLAGS"), ts.Getenv("API"), token, n))
}

func (c *comers) all(flags, api, token string, n int) error {
	var events []map[string]any
	done := map[string]float64{}
	exposed := time.Now().Add(6 * time.Second)
	for i := range n {
		user := fmt.Sprint(c.prefix, i)
		variant, _, err := c.ask(flags, user)
		if err != nil {
			return err
		}
		events = append(events, map[string]any{"type": "exposure", "targetingKey": user, "flag": c.flag, "variant": cmp.Or(c.given, variant), "time": exposed})
		for event, rates := range c.rates {
			if done[event+variant] += rates[variant]; done[event+variant] >= 1 {
				done[event+variant]--
				events = append(events, map[string]any{"type": "metric", "targetingKey": user, "metric": event, "time": exposed.Add(time.Second)})
			}
		}
	}
	for len(events) > 0 {
		batch := events[:min(len(events), 4000)]
		events = events[len(batch):]
		if err := c.post(api+"/v1/track", token, map[string]any{"events": batch}, nil); err != nil {
			return err
		}
	}
	return nil
}

// ask asks for the flag as a user: their variant, and the experiment that the flag is part of.
func (c *comers) ask(flags, user string) (variant, experiment string, err error) {
	var said struct {
		Variant  string
		Metadata map[string]any
	}
	err = c.post("http://"+flags+"/ofrep/v1/evaluate/flags/"+c.flag, "", map[string]any{"context": map[string]any{"targetingKey": user}}, &said)
	experiment, _ = said.Metadata["ringfence.experiment"].(string)
	return said.Variant, experiment, err
}

func (c *comers) post(url, token string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s: %s", url, res.Status, said)
	case into != nil:
		return json.Unmarshal(said, into)
	}
	return nil
}
