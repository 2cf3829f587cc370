// Command streams measures how soon an off switch reaches everyone who listens: it starts `ringfence flags serve` on a file, opens streams of
// both kinds, OFREP's and flagd's events, flips the flag in the file, and tells how long after that each stream said so. The
// fifth of a second within which files are looked at again is part of it.
//
//	make build && go run ./bench/streams -streams 10000
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/evaluation/v2/evaluationv2connect"
	v2pb "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/evaluation/v2"
	"connectrpc.com/connect"
)

const text = `{"flags": {"checkout": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "%s"}}}`

func main() {
	streams := flag.Int("streams", 10_000, "open at the same time")
	rounds := flag.Int("rounds", 5, "how often the flag is flipped")
	binary := flag.String("binary", "bin/ringfence", "to measure")
	flag.Parse()
	for _, kind := range []string{"OFREP", "evaluation"} {
		if err := measure(*binary, kind, *streams, *rounds); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func flip(path, to string) error {
	if err := os.WriteFile(path+".new", fmt.Appendf(nil, text, to), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func measure(binary, kind string, streams, rounds int) error {
	dir, err := os.MkdirTemp("", "ringfence-streams-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "flags.json")
	if err := flip(path, "on"); err != nil {
		return err
	}
	server := exec.Command(binary, "flags", "serve", "--config", path, "--port", "0", "--management-port", "0", "--sync-port", "0", "--ofrep-port", "0")
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		return err
	}
	defer func() { _ = server.Process.Kill(); _ = server.Wait() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return err
	}
	at := "http://" + regexp.MustCompile(kind + ` ([0-9.:]+)`).FindStringSubmatch(line)[1]
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	told := make(chan time.Time, streams)
	var ready sync.WaitGroup
	slots := make(chan struct{}, 200) // so that not all connect at once
	for i := range streams {
		ready.Add(1)
		slots <- struct{}{}
		go func() {
			up := sync.OnceFunc(func() { <-slots; ready.Done() })
			if kind == "OFREP" {
				err := sse(ctx, at, up, told)
				complain(ctx, err)
				return
			}
			complain(ctx, events(ctx, at, i, up, told))
		}()
	}
	ready.Wait()
	for round := range rounds {
		to := [...]string{"off", "on"}[round%2]
		start := time.Now()
		if err := flip(path, to); err != nil {
			return err
		}
		took := make([]time.Duration, streams)
		for i := range took {
			select {
			case t := <-told:
				took[i] = t.Sub(start)
			case <-time.After(20 * time.Second):
				return fmt.Errorf("%s: only %d of %d streams told of the change", kind, i, streams)
			}
		}
		slices.Sort(took)
		fmt.Printf("%-10s %d streams: first %s, half %s, p99 %s, all %s\n", kind, streams, took[0].Round(time.Millisecond), took[streams/2].Round(time.Millisecond),
			took[streams*99/100].Round(time.Millisecond), took[streams-1].Round(time.Millisecond))
		time.Sleep(time.Second) // the next change is another
	}
	return nil
}

func complain(ctx context.Context, err error) {
	if ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "a stream ended:", err)
	}
}

var web = &http.Client{Transport: &http.Transport{}}

func sse(ctx context.Context, at string, up func(), told chan<- time.Time) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/ofrep/v1/sse", nil)
	if err != nil {
		return err
	}
	resp, err := web.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 512), 4096)
	for lines.Scan() {
		switch {
		case strings.HasPrefix(lines.Text(), "id:"):
			up()
		case strings.HasPrefix(lines.Text(), "data:"):
			told <- time.Now()
		}
	}
	return lines.Err()
}

// perConnection is how many streams share a connection, as those of one client process would.
const perConnection = 50

var (
	mu    sync.Mutex
	calls = map[string]*http.Client{}
)

func events(ctx context.Context, at string, i int, up func(), told chan<- time.Time) error {
	mu.Lock()
	of := fmt.Sprint(at, i/perConnection)
	c := calls[of]
	if c == nil {
		var only http.Protocols
		only.SetUnencryptedHTTP2(true)
		c = &http.Client{Transport: &http.Transport{Protocols: &only}}
		calls[of] = c
	}
	mu.Unlock()
	stream, err := evaluationv2connect.NewServiceClient(c, at, connect.WithGRPC()).EventStream(ctx, connect.NewRequest(&v2pb.EventStreamRequest{}))
	if err != nil {
		return err
	}
	for stream.Receive() {
		switch stream.Msg().GetType() {
		case "provider_ready":
			up()
		case "configuration_change":
			told <- time.Now()
		}
	}
	return stream.Err()
}
