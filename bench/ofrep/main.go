// Command ofrep measures how many flags a second servers answer by OFREP, one at a time, and how long the answers take: all servers in the same
// run, in turns, since the machine's other work disturbs them all. The client writes ready-made requests and looks no
// closer at answers than it must, so that it leaves the processor to the servers.
//
//	go run ./bench/ofrep -for 5s http://127.0.0.1:8016 http://127.0.0.1:9016
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

func main() {
	var (
		length      = flag.Duration("for", 5*time.Second, "how long each server is asked in each round")
		rounds      = flag.Int("rounds", 3, "how often each server has its turn")
		connections = flag.Int("connections", 32, "that ask at the same time")
		key         = flag.String("key", "static", "of the flag")
		body        = flag.String("body", `{"context":{"targetingKey":"5c3d8535-f81a-4478-a6d3-afaa4d51199e","plan":"beta","email":"carol@example.com","country":"nl","tier":"gold"}}`, "of the request")
	)
	flag.Parse()
	fmt.Printf("%-28s %10s %10s %10s %10s\n", "server", "answers/s", "p50", "p99", "p99.9")
	for range *rounds {
		for _, server := range flag.Args() {
			u, err := url.Parse(server)
			if err != nil {
				fail(err)
			}
			request := fmt.Sprintf("POST /ofrep/v1/evaluate/flags/%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", *key, u.Host, len(*body), *body)
			took := run(u.Host, []byte(request), *connections, *length)
			slices.Sort(took)
			at := func(share float64) time.Duration {
				return took[min(len(took)-1, int(share*float64(len(took))))].Round(time.Microsecond)
			}
			fmt.Printf("%-28s %10.0f %10s %10s %10s\n", server, float64(len(took))/length.Seconds(), at(0.5), at(0.99), at(0.999))
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// run asks on all connections and returns how long each answer took.
func run(host string, request []byte, connections int, length time.Duration) (took []time.Duration) {
	var mu sync.Mutex
	var all sync.WaitGroup
	end := time.Now().Add(length)
	for range connections {
		all.Go(func() {
			mine, err := ask(host, request, end)
			if err != nil {
				fail(err)
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
		})
	}
	all.Wait()
	return took
}

func ask(host string, request []byte, end time.Time) (took []time.Duration, err error) {
	c, err := net.Dial("tcp", host)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for start := time.Now(); start.Before(end); {
		if _, err := c.Write(request); err != nil {
			return nil, err
		}
		if err := answer(r); err != nil {
			return nil, err
		}
		now := time.Now()
		took = append(took, now.Sub(start))
		start = now
	}
	return took, nil
}

var length = []byte("Content-Length: ")

// answer reads one answer, which has to be a success.
func answer(r *bufio.Reader) error {
	size := -1
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		switch {
		case first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")):
			return fmt.Errorf("got %s", line)
		case bytes.HasPrefix(line, length):
			if size, err = strconv.Atoi(string(bytes.TrimSpace(line[len(length):]))); err != nil {
				return err
			}
		case len(line) <= 2:
			if size < 0 {
				return fmt.Errorf("an answer without a length")
			}
			_, err := io.CopyN(io.Discard, r, int64(size))
			return err
		}
	}
}
