package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// plant serves one flag, and flips it.
type plant struct {
	name   string
	at     string // base URL
	events bool   // flagd's, not OFREP's
	flip   func(to string) error
	close  func() error
}

const text = `{"flags": {"checkout": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "%s"}}}`

// serve is flags serve on a file.
func serve(binary, kind string) (*plant, error) {
	dir, err := os.MkdirTemp("", "ringfence-streams-")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "flags.json")
	flip := flipping(path)
	if err := flip("on"); err != nil {
		return nil, err
	}
	server := exec.Command(binary, "flags", "serve", "--config", path, "--port", "0", "--management-port", "0", "--sync-port", "0", "--ofrep-port", "0")
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, err
	}
	return &plant{name: "file, " + kind, at: "http://" + regexp.MustCompile(kind + ` ([0-9.:]+)`).FindStringSubmatch(line)[1], events: kind == "evaluation", flip: flip,
		close: func() error { return end(server, dir) }}, nil
}

// flipping switches the flag in a file.
func flipping(path string) func(to string) error {
	return func(to string) error {
		if err := os.WriteFile(path+".new", fmt.Appendf(nil, text, to), 0o600); err != nil {
			return err
		}
		return os.Rename(path+".new", path)
	}
}

// other is a server that somebody runs, as URL=FILE.
func other(at string) (*plant, error) {
	url, path, ok := strings.Cut(at, "=")
	if !ok {
		return nil, fmt.Errorf("-beside %s: expected URL=FILE", at)
	}
	return &plant{name: "beside, evaluation", at: url, events: true, flip: flipping(path), close: func() error { return nil }}, flipping(path)("on")
}

func end(server *exec.Cmd, dir string) error {
	_ = server.Process.Signal(os.Interrupt)
	_ = server.Wait()
	return os.RemoveAll(dir)
}

const declared = `apiVersion: ringfence.dev/v1
kind: RingPlan
metadata: {name: quick}
spec:
  rings: [{name: some, audience: {percent: 10}, bake: 1s}, {name: all, bake: 1s}]
  gates: [{signal: query, query: vector(1), max: 2, every: 1s}]
---
apiVersion: ringfence.dev/v1
kind: FlagSet
metadata: {name: shop}
spec:
  flags:
    checkout: {state: ENABLED, variants: {"on": true, "off": false}, defaultVariant: "off", exposure: {plan: quick, variant: "on", control: 0}}
`

// whole is a control plane and a data plane with a flag that everyone has by a rollout.
func whole(binary string, events bool) (*plant, error) {
	dir, err := os.MkdirTemp("", "ringfence-streams-")
	if err != nil {
		return nil, err
	}
	server := exec.Command(binary, "up", "--data", dir, "--listen", "127.0.0.1:0", "--gateway", "127.0.0.1:0", "--flags", "127.0.0.1:0")
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		return nil, err
	}
	said := map[string]string{}
	lines := bufio.NewScanner(out)
	for said["Admin token"] == "" && lines.Scan() {
		for _, name := range []string{"API and UI", "Flags", "Admin token"} {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), name); ok {
				said[name] = strings.TrimSpace(rest)
			}
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	token, err := os.ReadFile(said["Admin token"])
	if err != nil {
		return nil, err
	}
	api := control{said["API and UI"], strings.TrimSpace(string(token))}
	p := &plant{name: "control plane, OFREP", at: said["Flags"], events: events, flip: api.flip, close: func() error { return end(server, dir) }}
	if events {
		p.name = "control plane, evaluation"
	}
	if err := api.post("/v1/apply", map[string]any{"files": []map[string]string{{"name": "flags.yaml", "text": declared}}}); err != nil {
		return nil, err
	}
	return p, api.flip("on")
}

type control struct{ url, token string }

// flip switches the flag; on waits until everyone has it, as what is measured is off.
func (c control) flip(to string) error {
	if to == "off" {
		return c.post("/v1/flags/shop/checkout/off", map[string]string{"reason": "measured"})
	}
	err := c.post("/v1/flags/shop/checkout/expose", map[string]any{"lane": "sev0", "force": true, "reason": "measured"})
	for deadline := time.Now().Add(30 * time.Second); err == nil && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var phase string
		if phase, err = c.phase(); phase == "succeeded" {
			return nil
		}
	}
	return err
}

func (c control) post(path string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequest(http.MethodPost, c.url+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	_, err = c.do(r)
	return err
}

func (c control) phase() (string, error) {
	r, err := http.NewRequest(http.MethodGet, c.url+"/v1/rollouts/flag:shop:checkout", nil)
	if err != nil {
		return "", err
	}
	raw, err := c.do(r)
	var state struct {
		Rollout struct {
			Phase string `json:"phase"`
		} `json:"rollout"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &state)
	}
	return state.Rollout.Phase, err
}

func (c control) do(r *http.Request) ([]byte, error) {
	r.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", r.Method, r.URL.Path, resp.Status, raw)
	}
	return raw, err
}
