package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/ringfence/ringfence/bench/child"
)

// serveVersion answers a request after up to the time that work says: a POST with its body, all else with 1 KiB. Asked to end,
// it finishes what it has begun.
func serveVersion(address, work string) error {
	longest, err := time.ParseDuration(work)
	if err != nil {
		return err
	}
	kilobyte := strings.Repeat("x", 1024)
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return
		}
		if longest > 0 {
			time.Sleep(rand.N(longest))
		}
		if r.Method == http.MethodPost {
			_, _ = w.Write(body)
			return
		}
		_, _ = io.WriteString(w, kilobyte)
	})}
	ln, err := child.Listen(address)
	if err != nil {
		return err
	}
	asked, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	done := make(chan error, 1)
	go func() {
		<-asked.Done()
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		done <- srv.Shutdown(end)
	}()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	if err := <-done; err != nil {
		return err
	}
	os.Exit(0)
	return nil
}
