// Command streams measures how soon an off switch reaches everyone who listens, on streams of both kinds, OFREP's and flagd's
// events: of `ringfence flags serve` when the file changes, with the fifth of a second within which files are looked at
// again; and of a data plane when somebody switches a flag off at its control plane, with all that is recorded and
// acknowledged in between. A stream counts by the last that it says of a change.
//
// With -beside another server of flagd's events is measured, which has to be running and to look at its file.
//
//	make build && go run ./bench/streams -streams 10000
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/evaluation/v2/evaluationv2connect"
	v2pb "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/evaluation/v2"
	"connectrpc.com/connect"
)

func main() {
	streams := flag.Int("streams", 10_000, "open at the same time")
	rounds := flag.Int("rounds", 5, "how often the flag is flipped")
	binary := flag.String("binary", "bin/ringfence", "to measure")
	beside := flag.String("beside", "", "instead, another server of flagd's events, as URL=FILE: it serves that file, which is flipped")
	flag.Parse()
	plants := []func(binary string) (*plant, error){
		func(b string) (*plant, error) { return serve(b, "OFREP") }, func(b string) (*plant, error) { return serve(b, "evaluation") },
		func(b string) (*plant, error) { return whole(b, false) }, func(b string) (*plant, error) { return whole(b, true) },
	}
	if *beside != "" {
		plants = []func(string) (*plant, error){func(string) (*plant, error) { return other(*beside) }}
	}
	for _, begin := range plants {
		p, err := begin(*binary)
		if err == nil {
			err = errors.Join(measure(p, *streams, *rounds), p.close())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// heard is a stream that said something.
type heard struct {
	stream int
	at     time.Time
}

// quiet is how long no stream says anything after a change when all have said what there is to say.
const quiet = time.Second

func measure(p *plant, streams, rounds int) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	told := make(chan heard, 4*streams)
	var ready sync.WaitGroup
	slots := make(chan struct{}, 200) // so that not all connect at once
	for i := range streams {
		ready.Add(1)
		slots <- struct{}{}
		go func() {
			up := sync.OnceFunc(func() { <-slots; ready.Done() })
			say := func() { told <- heard{i, time.Now()} }
			if p.events {
				complain(ctx, events(ctx, p.at, i, up, say))
				return
			}
			complain(ctx, sse(ctx, p.at, up, say))
		}()
	}
	ready.Wait()
	for round := range rounds {
		to := [...]string{"off", "on"}[round%2]
		start := time.Now()
		if err := p.flip(to); err != nil {
			return err
		}
		took, err := listen(told, streams, start)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		fmt.Printf("%-24s %d streams, switched %-3s: first %s, half %s, p99 %s, all %s\n", p.name, streams, to, took[0].Round(time.Millisecond), took[streams/2].Round(time.Millisecond),
			took[streams*99/100].Round(time.Millisecond), took[streams-1].Round(time.Millisecond))
	}
	return nil
}

// listen is how long after start each stream had said its last, sorted.
func listen(told <-chan heard, streams int, start time.Time) ([]time.Duration, error) {
	last := make(map[int]time.Duration, streams)
	for {
		wait := quiet
		if len(last) < streams {
			wait = 20 * time.Second
		}
		select {
		case h := <-told:
			last[h.stream] = max(last[h.stream], h.at.Sub(start))
			continue
		case <-time.After(wait):
		}
		if len(last) < streams {
			return nil, fmt.Errorf("only %d of %d streams told of the change", len(last), streams)
		}
		return slices.Sorted(maps.Values(last)), nil
	}
}

func complain(ctx context.Context, err error) {
	if ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "a stream ended:", err)
	}
}

var web = &http.Client{Transport: &http.Transport{}}

func sse(ctx context.Context, at string, up, say func()) error {
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
			say()
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

func events(ctx context.Context, at string, i int, up, say func()) error {
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
			say()
		}
	}
	return stream.Err()
}
