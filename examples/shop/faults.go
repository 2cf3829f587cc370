package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Faults of a version, for drills. Set by the linker.
var (
	routeErrors = ""   // this route alone answers 500, such as /cart
	poison      = ""   // checkouts of users whose ID ends so answer 500, such as @customers.example
	crashAfter  = "0s" // each instance ends so long after its start
	hangAfter   = "0s" // an instance answers nothing any more, so long after its start
	leakMemory  = "0"  // MB a second that are never given back
	leakFiles   = "0"  // files a second that are never closed
	metrics     = "yes"
	appError    = "" // what the page's script begins with, such as shop.open(), which there is none of
)

// trouble is what goes wrong around the shop while no version of it changes. A drill writes it to the file that
// SHOP_FAULTS names, and the shop reads it anew each time.
type trouble struct {
	Errors  float64  // share of requests that answer 500
	Down    bool     // it is not ready
	Delay   string   // added to every answer
	Tenants []string // whose every request answers 500
	Fill    bool     // orders are written to the disk until it is full
}

func troubles() (t trouble, delay time.Duration) {
	b, err := os.ReadFile(os.Getenv("SHOP_FAULTS"))
	if err != nil || json.Unmarshal(b, &t) != nil {
		return trouble{}, 0
	}
	delay, _ = time.ParseDuration(t.Delay)
	return t, delay
}

// faulty puts everything in the way of requests that a drill asks for.
func faulty(next http.Handler) http.Handler {
	stuck := make(chan struct{})
	if d, _ := time.ParseDuration(hangAfter); d > 0 {
		time.AfterFunc(d, func() {
			if !locked() {
				return
			}
			slog.Warn("the stock is locked, and nobody unlocks it")
			close(stuck)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-stuck:
			<-r.Context().Done()
			return
		default:
		}
		t, delay := troubles()
		if t.Down && r.URL.Path == "/readyz" {
			http.Error(w, "the database is away", http.StatusServiceUnavailable)
			return
		}
		if r.URL.Path == "/readyz" || r.URL.Path == "/metrics" {
			next.ServeHTTP(w, r)
			return
		}
		time.Sleep(delay)
		if r.URL.Path == routeErrors || slices.Contains(t.Tenants, r.Header.Get("X-Tenant")) || chance(t.Errors) {
			answer(w, http.StatusInternalServerError, map[string]string{"error": "the stock does not answer"})
			return
		}
		if poison != "" && r.URL.Path == "/checkout" && strings.HasSuffix(r.Header.Get("X-User-ID"), poison) {
			answer(w, http.StatusInternalServerError, map[string]string{"error": "this address cannot be read"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// locked takes the one lock that instances share, and says whether this one has it.
func locked() bool {
	f, err := os.OpenFile(os.Getenv("SHOP_FAULTS")+".lock", os.O_CREATE|os.O_EXCL, 0o600)
	return err == nil && f.Close() == nil
}

// decay begins what goes wrong by itself with time.
func decay() {
	if d, _ := time.ParseDuration(crashAfter); d > 0 {
		time.AfterFunc(d, func() {
			slog.Error("the catalogue is gone")
			os.Exit(3)
		})
	}
	if mb, _ := strconv.Atoi(leakMemory); mb > 0 {
		go leak(mb)
	}
	if n, _ := strconv.Atoi(leakFiles); n > 0 {
		go hoard(n)
	}
	go fill()
}

// hoard opens files and keeps them.
func hoard(perSecond int) {
	var kept []*os.File
	for range time.Tick(time.Second / time.Duration(perSecond)) {
		f, err := os.Open(os.DevNull)
		if err != nil {
			slog.Error("no more files", "err", err, "open", len(kept))
			continue
		}
		kept = append(kept, f)
	}
}

// leaked is what leak never gives back.
var leaked [][]byte

const leakAtMost = 5 << 10 // MB

func leak(mb int) {
	for range time.Tick(time.Second) {
		if len(leaked)*mb > leakAtMost {
			return
		}
		b := make([]byte, mb<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		leaked = append(leaked, b)
	}
}

// fill writes orders to the disk, 2 MB a second, while a drill asks for it.
func fill() {
	for range time.Tick(time.Second) {
		if t, _ := troubles(); !t.Fill {
			continue
		}
		if err := appendTo("orders.log", make([]byte, 2<<20)); err != nil {
			slog.Error("orders cannot be written", "err", err)
		}
	}
}

func appendTo(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

// keepOrder writes an order down when a drill watches the disk.
func keepOrder() error {
	if _, err := os.Stat("orders.log"); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return appendTo("orders.log", []byte("an order\n"))
}

// charge asks the payments for money, where there are any.
func charge(r *http.Request) error {
	payments := os.Getenv("PAYMENTS_URL")
	if payments == "" {
		return nil
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, payments, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	req.Host = os.Getenv("PAYMENTS_HOST")
	req.Header.Set("X-User-ID", r.Header.Get("X-User-ID"))
	if self := os.Getenv("RINGFENCE_CALLER"); self != "" { // so that it is known who calls
		req.Header.Set("Ringfence-Caller", self)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("the payments answer %s", resp.Status)
	}
	return nil
}
